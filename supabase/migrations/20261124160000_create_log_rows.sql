-- The log of a job as it is read: each line about an item with the attempt it was written in, from the ledger.
-- Derived when it is read, so that no step pays for it.

create view public.log_rows with (security_invoker = true) as
select l.id, l.job_id, l.item_id, l.level, l.message, l.created_at, i.position, a.number as attempt,
  a.request_id, a.error_code, a.cost_usd, a.output_tokens,
  a.input_tokens + a.cache_read_tokens + a.cache_write_tokens as input_tokens,
  extract(epoch from a.ended_at - a.started_at)::double precision as seconds
from public.job_log l
left join public.batch_items i on i.id = l.item_id
left join lateral (
  select * from public.attempts a
  -- An attempt that went on from an earlier answer made no call: the line is about the earlier one.
  where a.item_id = l.item_id and a.started_at <= l.created_at and a.outcome <> 'skipped'
  order by a.number desc limit 1
) a on true;

revoke all on public.log_rows from public, anon, authenticated;
grant select on public.log_rows to service_role;
