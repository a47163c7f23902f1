-- Batch jobs, their items and the ledger of every call that may cost money.

create table public.batch_jobs (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) between 1 and 255),
  status text not null default 'queued'
    check (status in ('queued', 'processing', 'paused', 'completed', 'failed', 'cancelled')),
  template_id uuid not null, -- all zeros: chosen per item; no reference, so that a template may go
  writer text not null check (writer in ('demo', 'claude')),
  model text not null,
  max_tokens integer not null check (max_tokens > 0),
  turns integer check (turns between 2 and 200 and turns % 2 = 0),
  seed bigint not null default 0,
  stop_on_error boolean not null default false,
  budget_usd numeric(14, 6) check (budget_usd > 0),
  max_attempts integer not null default 5 check (max_attempts >= 1),
  total_items integer not null check (total_items > 0),
  pause_reason text,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  completed_at timestamptz
);
create index batch_jobs_newest_idx on public.batch_jobs (created_at desc, id);
create index batch_jobs_open_idx on public.batch_jobs (created_at) where status in ('queued', 'processing');

-- Counters stand apart from the job, so that a busy job's row is not rewritten at every step.
create table public.batch_counts (
  job_id uuid primary key references public.batch_jobs (id) on delete cascade,
  queued integer not null default 0 check (queued >= 0),
  processing integer not null default 0 check (processing >= 0),
  completed integer not null default 0 check (completed >= 0),
  failed integer not null default 0 check (failed >= 0),
  cancelled integer not null default 0 check (cancelled >= 0),
  spent_usd numeric(14, 6) not null default 0,
  possible_usd numeric(14, 6) not null default 0,
  reserved_usd numeric(14, 6) not null default 0,
  pace_seconds double precision, -- smoothed time between two endings, pauses left out
  last_ended_at timestamptz
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

create table public.batch_items (
  id uuid primary key default gen_random_uuid(),
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
  position integer not null check (position >= 1),
  status text not null default 'queued'
    check (status in ('queued', 'processing', 'completed', 'failed', 'cancelled')),
  parameters jsonb not null,
  fingerprint text not null,
  template_version_id uuid not null references public.template_versions (id),
  template_choice text not null default '',
  reserve_usd numeric(14, 6) not null default 0 check (reserve_usd >= 0),
  attempts integer not null default 0,
  crashes integer not null default 0,
  refunds integer not null default 0, -- attempts a rate limit gave back
  token uuid,
  worker text,
  lease_until timestamptz,
  next_attempt_at timestamptz,
  conversation_id uuid,
  error_code text,
  error_message text,
  cost_usd numeric(14, 6) not null default 0,
  claimed_at timestamptz,
  ended_at timestamptz,
  constraint batch_items_position unique (job_id, position),
  constraint batch_items_lease check ((status = 'processing') = (lease_until is not null)),
  constraint batch_items_token check ((status = 'processing') = (token is not null)),
  constraint batch_items_conversation check ((status = 'completed') = (conversation_id is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
-- One partial index a question: what is next, whose lease ran out, what failed.
create index batch_items_queue_idx on public.batch_items (job_id, position) where status = 'queued';
create index batch_items_lease_idx on public.batch_items (job_id, lease_until) where status = 'processing';
create index batch_items_failed_idx on public.batch_items (job_id, position) where status = 'failed';
create index batch_items_template_idx on public.batch_items (template_version_id);
create index batch_items_fingerprint_idx on public.batch_items (fingerprint);

create table public.attempts (
  id uuid primary key default gen_random_uuid(),
  item_id uuid not null references public.batch_items (id) on delete cascade,
  job_id uuid not null, -- the item's; no reference of its own, which would lock the job's row at every step
  number integer not null check (number >= 1),
  token uuid not null,
  worker text not null default '',
  model text not null,
  outcome text not null default 'started'
    check (outcome in ('started', 'stored', 'failed', 'unknown', 'skipped')),
  reserved_usd numeric(14, 6) not null default 0,
  cost_usd numeric(14, 6) not null default 0,
  possible_usd numeric(14, 6) not null default 0,
  input_tokens integer not null default 0,
  output_tokens integer not null default 0,
  cache_read_tokens integer not null default 0,
  cache_write_tokens integer not null default 0,
  request jsonb,
  request_id text,
  stop_reason text,
  raw_path text,
  error_code text,
  error_message text,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint attempts_number unique (item_id, number)
);
create index attempts_job_idx on public.attempts (job_id, started_at);
create index attempts_item_started_idx on public.attempts (item_id) where outcome = 'started';

create table public.job_log (
  id bigint generated always as identity primary key,
  job_id uuid not null, -- no reference, as above
  item_id uuid,
  level text not null default 'info' check (level in ('info', 'warning', 'error')),
  message text not null,
  created_at timestamptz not null default clock_timestamp()
);
create index job_log_job_idx on public.job_log (job_id, id);

-- Counters follow the items and the ledger, whoever writes them: a person's SQL included.

create function public.count_inserted_items() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.batch_counts as c (job_id, queued)
  select n.job_id, count(*) from new_items n group by n.job_id
  on conflict (job_id) do update set queued = c.queued + excluded.queued;
  return null;
end $$;

create trigger batch_items_count_inserted after insert on public.batch_items
referencing new table as new_items
for each statement execute function public.count_inserted_items();

create function public.count_changed_items() returns trigger
language plpgsql set search_path = '' as $$
begin
  update public.batch_counts c set
    queued = c.queued + d.queued,
    processing = c.processing + d.processing,
    completed = c.completed + d.completed,
    failed = c.failed + d.failed,
    cancelled = c.cancelled + d.cancelled,
    last_ended_at = coalesce(d.ended_at, c.last_ended_at),
    -- The gap to the ending before, but never more than the item itself took: a pause is not work.
    pace_seconds = case when d.ended_at is null then c.pace_seconds else
      0.9 * coalesce(c.pace_seconds, d.took) + 0.1 * greatest(0, least(d.took,
        coalesce(extract(epoch from d.ended_at - c.last_ended_at), d.took))) end
  from (
    select job_id,
      coalesce(sum(step) filter (where status = 'queued'), 0) as queued,
      coalesce(sum(step) filter (where status = 'processing'), 0) as processing,
      coalesce(sum(step) filter (where status = 'completed'), 0) as completed,
      coalesce(sum(step) filter (where status = 'failed'), 0) as failed,
      coalesce(sum(step) filter (where status = 'cancelled'), 0) as cancelled,
      max(ended_at) filter (where step = 1 and status in ('completed', 'failed')) as ended_at,
      max(extract(epoch from ended_at - claimed_at))
        filter (where step = 1 and status in ('completed', 'failed')) as took
    from (
      select job_id, status, 1 as step, ended_at, claimed_at from new_items
      union all
      select job_id, status, -1, null, null from old_items
    ) s group by job_id
  ) d
  where c.job_id = d.job_id;
  return null;
end $$;

create trigger batch_items_count_changed after update on public.batch_items
referencing old table as old_items new table as new_items
for each statement execute function public.count_changed_items();

-- Money follows the ledger. Called by the functions that write it, and only when an amount changes:
-- a trigger here would rewrite the counters twice more at every free step.
create function public.add_money(p_job uuid, p_spent numeric, p_possible numeric, p_reserved numeric)
returns void language plpgsql set search_path = '' as $$
begin
  if p_spent <> 0 or p_possible <> 0 or p_reserved <> 0 then
    update public.batch_counts set spent_usd = spent_usd + p_spent,
      possible_usd = possible_usd + p_possible, reserved_usd = reserved_usd + p_reserved
    where job_id = p_job;
  end if;
end $$;
