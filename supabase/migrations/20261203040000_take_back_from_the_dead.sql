-- Items in the hands of workers whose process is known to have ended need not wait for their leases: these end now, and
-- `reclaim_items` takes them back as it does all whose lease is over. Items of a part are leased by the part, not by it.
create function public.end_leases(p_job uuid, p_workers text[]) returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  update public.batch_items set lease_until = clock_timestamp() - interval '1 millisecond'
  where id in (
    select i.id from public.batch_items i
    where i.job_id = p_job and i.status = 'processing' and i.worker = any (p_workers)
      and i.lease_until > clock_timestamp()
      and not exists (select from public.batch_parts p where p.id = i.token)
    order by i.position for no key update skip locked);
  get diagnostics v_count = row_count;
  return v_count;
end $$;
revoke execute on function public.end_leases(uuid, text[]) from public, anon, authenticated;
grant execute on function public.end_leases(uuid, text[]) to service_role;
