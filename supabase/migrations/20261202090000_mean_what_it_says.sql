-- `approvable` is yes for what can be approved: saved views held what a finding blocks under that name.
update public.saved_views set query = query || jsonb_build_object('approvable',
  case query ->> 'approvable' when 'yes' then 'no' else 'yes' end)
where query ->> 'approvable' in ('yes', 'no');
