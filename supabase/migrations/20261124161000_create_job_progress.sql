-- What a batch page shows beyond its counters: what went wrong how often, and how the job went over time.
-- Both are kept while things happen, in a bounded number of rows, so that looking costs the same at any size.

alter table public.batch_counts add column retries integer not null default 0;

create table public.batch_errors (
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
  error_code text not null,
  category text not null default '', -- of a refusal: in the model's own word
  times integer not null default 0,
  ended_items integer not null default 0, -- how many items it ended, those tried again by hand included
  message text not null default '', -- the latest one
  last_at timestamptz not null default clock_timestamp(),
  primary key (job_id, error_code, category)
);

-- The counters as they stood when each hundredth of a job had ended.
create table public.batch_progress (
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
  percent smallint not null check (percent between 0 and 100),
  at timestamptz not null default clock_timestamp(),
  completed integer not null,
  failed integer not null,
  spent_usd numeric(14, 6) not null,
  primary key (job_id, percent)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['batch_errors', 'batch_progress'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end $$;

-- Counters are locked before the tally, as everywhere, so that no two steps wait for each other.
create function public.count_error(p_job uuid, p_code text, p_category text, p_times integer, p_ended integer,
  p_message text) returns void
language plpgsql set search_path = '' as $$
declare
  v_category text := left(coalesce(p_category, ''), 60);
begin
  perform 1 from public.batch_counts where job_id = p_job for no key update;
  -- Categories come from outside: what would be too many to read is counted together.
  if (select count(*) from public.batch_errors where job_id = p_job) >= 40 and not exists (
    select 1 from public.batch_errors
    where job_id = p_job and error_code = p_code and category = v_category) then
    v_category := 'other';
  end if;
  insert into public.batch_errors as e (job_id, error_code, category, times, ended_items, message)
  values (p_job, p_code, v_category, p_times, p_ended, left(coalesce(p_message, ''), 500))
  on conflict (job_id, error_code, category) do update set
    times = e.times + excluded.times, ended_items = e.ended_items + excluded.ended_items,
    message = excluded.message, last_at = excluded.last_at;
end $$;

create function public.count_failed_attempt() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform public.count_error(new.job_id, new.error_code, new.refusal_category, 1, 0, new.error_message);
  return null;
end $$;

create trigger attempts_count_error after update on public.attempts
for each row when (new.error_code is not null and new.error_code is distinct from old.error_code)
execute function public.count_failed_attempt();

create function public.count_retry() returns trigger
language plpgsql set search_path = '' as $$
begin
  update public.batch_counts set retries = retries + 1 where job_id = new.job_id;
  return null;
end $$;

create trigger attempts_count_retry after insert on public.attempts
for each row when (new.number > 1) execute function public.count_retry();

create function public.count_failed_item() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_category text;
begin
  select refusal_category into v_category from public.attempts
  where item_id = new.id and error_code = new.error_code order by number desc limit 1;
  perform public.count_error(new.job_id, coalesce(new.error_code, 'unknown'), v_category, 0, 1, new.error_message);
  return null;
end $$;

create trigger batch_items_count_error after update on public.batch_items
for each row when (new.status = 'failed' and old.status <> 'failed')
execute function public.count_failed_item();

create function public.mark_progress() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.batch_progress as p (job_id, percent, completed, failed, spent_usd)
  values (new.job_id, (new.completed + new.failed) * 100 /
    (new.queued + new.processing + new.completed + new.failed + new.cancelled),
    new.completed, new.failed, new.spent_usd)
  on conflict (job_id, percent) do update set at = excluded.at, completed = excluded.completed,
    failed = excluded.failed, spent_usd = excluded.spent_usd;
  return null;
end $$;

create trigger batch_counts_mark_progress after update on public.batch_counts
for each row when (
  (new.completed + new.failed) * 100
    / greatest(1, new.queued + new.processing + new.completed + new.failed + new.cancelled)
  is distinct from (old.completed + old.failed) * 100
    / greatest(1, old.queued + old.processing + old.completed + old.failed + old.cancelled))
execute function public.mark_progress();

-- At most forty classes of errors and 102 points, whatever the size of the job.
create function public.job_progress(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'retries', c.retries,
    'errors', (
      select coalesce(jsonb_agg(to_jsonb(e) - 'job_id' order by e.times desc, e.error_code, e.category), '[]')
      from public.batch_errors e where e.job_id = p_job),
    'points', (
      select coalesce(jsonb_agg(jsonb_build_object('at', p.at, 'completed', p.completed,
        'failed', p.failed, 'spent_usd', p.spent_usd) order by p.at), '[]')
      from (
        select at, completed, failed, spent_usd from public.batch_progress where job_id = p_job
        union all
        select j.started_at, 0, 0, 0 where j.started_at is not null
        union all
        select case when j.status = 'processing' then clock_timestamp() else c.last_ended_at end,
          c.completed, c.failed, c.spent_usd
        where c.last_ended_at is not null
      ) p))
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job;
$$;

revoke execute on function public.count_error(uuid, text, text, integer, integer, text),
  public.count_failed_attempt(), public.count_retry(), public.count_failed_item(), public.mark_progress(),
  public.job_progress(uuid) from public, anon, authenticated;
grant execute on function public.count_error(uuid, text, text, integer, integer, text),
  public.count_failed_attempt(), public.count_retry(), public.count_failed_item(), public.mark_progress(),
  public.job_progress(uuid) to service_role;
