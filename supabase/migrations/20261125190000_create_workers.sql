-- Processes that write, wherever they stand: each says every few seconds that it is alive and what it is at.
create table public.workers (
  name text primary key check (length(name) between 1 and 300), -- machine:process
  slots integer not null check (slots >= 1),
  jobs uuid[] not null default '{}',
  written bigint not null default 0,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
);
alter table public.workers enable row level security;
alter table public.workers force row level security;
revoke all on public.workers from public, anon, authenticated;
grant select, insert, update, delete on public.workers to service_role;
select private.open_table('workers', 'viewer', null, null, null);

create function public.beat_worker(p_name text, p_slots integer, p_jobs jsonb, p_written bigint) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.workers (name, slots, jobs, written)
  values (p_name, p_slots, array(select jsonb_array_elements_text(p_jobs)::uuid), p_written)
  on conflict (name) do update set slots = excluded.slots, jobs = excluded.jobs, written = excluded.written,
    seen_at = clock_timestamp();
  delete from public.workers where seen_at < clock_timestamp() - interval '1 day';
end $$;

-- How long ago each was heard of, by the database's own clock: machines' clocks differ.
create view public.worker_rows with (security_invoker = true) as
select name, slots, jobs, written, started_at,
  extract(epoch from clock_timestamp() - seen_at)::double precision as seen_seconds
from public.workers;
revoke all on public.worker_rows from public, anon, authenticated;
grant select on public.worker_rows to authenticated, service_role;

revoke execute on function public.beat_worker(text, integer, jsonb, bigint) from public, anon, authenticated;
grant execute on function public.beat_worker(text, integer, jsonb, bigint) to service_role;
