-- What has become of scenarios by their fingerprints: still waiting, written, approved, rejected.
create function public.scenario_states(p_fingerprints text[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(s.fingerprint, to_jsonb(s) - 'fingerprint'), '{}') from (
    select i.fingerprint,
      count(*) filter (where i.status in ('queued', 'processing')) as waiting,
      count(c.id) as written,
      count(c.id) filter (where c.status = 'approved') as approved,
      count(c.id) filter (where c.status = 'rejected') as rejected
    from public.batch_items i
    left join public.conversations c on c.id = i.conversation_id
    where i.fingerprint = any(p_fingerprints)
    group by i.fingerprint
  ) s
$$;

-- Scenarios that rejection emptied: written at least once, every conversation rejected, none on its way.
create function public.emptied_scenarios(p_job uuid, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(e.parameters order by e.fingerprint), '[]') from (
    select distinct on (i.fingerprint) i.fingerprint, i.parameters
    from public.conversations c
    join public.batch_items i on i.id = c.item_id
    where c.status = 'rejected' and (p_job is null or c.job_id = p_job)
      and not exists (
        select 1 from public.batch_items o
        left join public.conversations k on k.id = o.conversation_id
        where o.fingerprint = i.fingerprint
          and (o.status in ('queued', 'processing') or k.status <> 'rejected'))
    order by i.fingerprint
    limit p_limit
  ) e
$$;

revoke execute on function public.scenario_states(text[]), public.emptied_scenarios(uuid, integer)
from public, anon, authenticated;
grant execute on function public.scenario_states(text[]), public.emptied_scenarios(uuid, integer)
to service_role;
