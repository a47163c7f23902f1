-- What a reviewer may still take back: the newest decision of theirs of the last hour that nothing has followed. A page
-- that is loaded again has forgotten it otherwise.
create function public.last_decision(p_reviewer text) returns jsonb
language sql stable set search_path = '' as $$
  with last as (
    select r.operation_id, r.decision from public.reviews r
    join public.conversations c on c.id = r.conversation_id and c.status = r.decision and c.version = r.version
    where r.reviewer = p_reviewer and r.created_at > clock_timestamp() - interval '1 hour'
      and r.undoes is null and r.decision <> 'pending_review' and not exists (select from public.reviews later
        where later.conversation_id = r.conversation_id and later.entry > r.entry)
    order by r.created_at desc, r.entry desc limit 1
  )
  select jsonb_build_object('operation_id', l.operation_id, 'decision', l.decision, 'number', (
    select count(*) from public.reviews r where r.operation_id = l.operation_id))
  from last l
$$;
revoke execute on function public.last_decision(text) from public, anon, authenticated;
grant execute on function public.last_decision(text) to authenticated, service_role;
