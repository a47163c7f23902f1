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
  reserved_usd numeric(14, 6) not null default 0
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
-- One partial index a question: what is next, whose lease ran out, how fast was it lately, what failed.
create index batch_items_queue_idx on public.batch_items (job_id, position) where status = 'queued';
create index batch_items_lease_idx on public.batch_items (job_id, lease_until) where status = 'processing';
create index batch_items_ended_idx on public.batch_items (job_id, ended_at desc) where ended_at is not null;
create index batch_items_failed_idx on public.batch_items (job_id, position) where status = 'failed';
create index batch_items_template_idx on public.batch_items (template_version_id);
create index batch_items_fingerprint_idx on public.batch_items (fingerprint);

create table public.attempts (
  id uuid primary key default gen_random_uuid(),
  item_id uuid not null references public.batch_items (id) on delete cascade,
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
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
  job_id uuid not null references public.batch_jobs (id) on delete cascade,
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
    cancelled = c.cancelled + d.cancelled
  from (
    select job_id,
      sum(step) filter (where status = 'queued') as queued,
      sum(step) filter (where status = 'processing') as processing,
      sum(step) filter (where status = 'completed') as completed,
      sum(step) filter (where status = 'failed') as failed,
      sum(step) filter (where status = 'cancelled') as cancelled
    from (
      select job_id, status, 1 as step from new_items
      union all
      select job_id, status, -1 from old_items
    ) s group by job_id
  ) r,
  lateral (
    select coalesce(r.queued, 0) as queued, coalesce(r.processing, 0) as processing,
      coalesce(r.completed, 0) as completed, coalesce(r.failed, 0) as failed,
      coalesce(r.cancelled, 0) as cancelled
  ) d
  where c.job_id = r.job_id;
  return null;
end $$;

create trigger batch_items_count_changed after update on public.batch_items
referencing old table as old_items new table as new_items
for each statement execute function public.count_changed_items();

create function public.count_money() returns trigger
language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    update public.batch_counts c set
      spent_usd = c.spent_usd + d.spent,
      possible_usd = c.possible_usd + d.possible,
      reserved_usd = c.reserved_usd + d.reserved
    from (
      select job_id, sum(cost_usd) as spent, sum(possible_usd) as possible, sum(reserved_usd) as reserved
      from new_attempts group by job_id
    ) d where c.job_id = d.job_id and (d.spent <> 0 or d.possible <> 0 or d.reserved <> 0);
  else
    update public.batch_counts c set
      spent_usd = c.spent_usd + d.spent,
      possible_usd = c.possible_usd + d.possible,
      reserved_usd = c.reserved_usd + d.reserved
    from (
      select n.job_id, sum(n.cost_usd - o.cost_usd) as spent,
        sum(n.possible_usd - o.possible_usd) as possible, sum(n.reserved_usd - o.reserved_usd) as reserved
      from new_attempts n join old_attempts o using (id) group by n.job_id
    ) d where c.job_id = d.job_id and (d.spent <> 0 or d.possible <> 0 or d.reserved <> 0);
  end if;
  return null;
end $$;

create trigger attempts_count_inserted after insert on public.attempts
referencing new table as new_attempts
for each statement execute function public.count_money();

create trigger attempts_count_changed after update on public.attempts
referencing old table as old_attempts new table as new_attempts
for each statement execute function public.count_money();
