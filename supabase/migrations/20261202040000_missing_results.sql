-- Whether Claude had no answers to a part any more is kept as what it is, and not read out of the reason's words.
alter table public.batch_parts add column results_gone boolean not null default false;
update public.batch_parts set results_gone = true where status = 'closed' and fault like '%It may have been paid for.';

create or replace view public.part_rows with (security_invoker = true) as
select p.id, p.job_id, p.number, p.status, p.size, p.remote_id, p.cancel_asked, p.ends_by, p.faults, p.fault,
  p.created_at, p.sent_at, p.closed_at,
  case when p.next_look_at is not null then greatest(0, extract(epoch from p.next_look_at - clock_timestamp()))
    end::double precision as look_seconds,
  p.results_gone
from public.batch_parts p;

-- As before, and it notes whether the part's results are gone.
create or replace function public.close_part(p_part uuid, p_token uuid, p_disposition text, p_attempt jsonb,
  p_delay_seconds double precision) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_part public.batch_parts;
  v_job public.batch_jobs;
  v_item record;
  v_finished boolean;
begin
  select j.* into v_job from public.batch_jobs j join public.batch_parts p on p.job_id = j.id
  where p.id = p_part for no key update of j;
  select * into v_part from public.batch_parts
  where id = p_part and token = p_token and status <> 'closed' for no key update;
  if not found then
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_job.id));
  end if;
  for v_item in select id, attempts from public.batch_items
    where token = p_part and status = 'processing' order by position loop
    perform public.settle_item(v_item.id, p_part, p_disposition,
      p_attempt || jsonb_build_object('number', v_item.attempts), p_delay_seconds,
      p_disposition <> 'failed' and p_attempt ->> 'outcome' <> 'unknown');
  end loop;
  update public.batch_parts set status = 'closed', token = null, lease_until = null, next_look_at = null,
    closed_at = clock_timestamp(), fault = p_attempt ->> 'error_message',
    results_gone = coalesce(p_attempt ->> 'error_code' = 'results_gone', false)
  where id = p_part;
  perform public.log_job(v_job.id, null, 'info', format('Part %s is closed', v_part.number));
  v_finished := public.finish_job(v_job.id);
  return jsonb_build_object('outcome', 'closed', 'finished', v_finished, 'job', public.job_view(v_job.id));
end $$;
