-- The page's filter that says whether something can be approved had the name of its opposite in the shell.
update public.saved_views set query = (query - 'blocked') || jsonb_build_object('approvable', query -> 'blocked')
where query ? 'blocked';
