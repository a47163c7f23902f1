-- What a model allows a minute and how much of it is taken: one row that all workers on all machines share. What is
-- taken is kept as the moment by which it has been earned again, so that nothing has to tick.
create table public.rate_limits (
  model text primary key check (length(model) between 1 and 200),
  requests bigint check (requests > 0), -- allowed a minute; null where the server does not say
  input_tokens bigint check (input_tokens > 0),
  output_tokens bigint check (output_tokens > 0),
  requests_due timestamptz not null default clock_timestamp(),
  input_due timestamptz not null default clock_timestamp(),
  output_due timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
alter table public.rate_limits enable row level security;
alter table public.rate_limits force row level security;
revoke all on public.rate_limits from public, anon, authenticated;
grant select, insert, update, delete on public.rate_limits to service_role;

-- The seconds in which so much of a limit is earned. A little of every limit is left alone: two clocks never agree.
create function public.earned_in(p_amount double precision, p_limit bigint) returns double precision
language sql immutable set search_path = '' as $$
  select case when p_limit is null then 0 else 60 * p_amount / (0.97 * p_limit) end
$$;

-- The seconds until so much may be taken. One second's worth may be taken at once; what is more than that by itself
-- waits until nothing is owed.
create function public.wait_for(p_due timestamptz, p_now timestamptz, p_amount double precision, p_limit bigint)
returns double precision language sql immutable set search_path = '' as $$
  select case when p_limit is null then 0 else
    greatest(0, least(o.owed, o.owed + public.earned_in(p_amount, p_limit) - 1)) end
  from (select greatest(0, extract(epoch from p_due - p_now))::double precision as owed) o
$$;

-- Takes one call of about so many tokens, where that is allowed now; returns the seconds to wait where it is not, and
-- nothing is taken. `p_told` is what earlier calls taught: limits, and how much more (or less) than was
-- taken for them they used.
create function public.take_turn(p_model text, p_input double precision, p_output double precision, p_told jsonb) returns double precision
language plpgsql set search_path = '' as $$
declare
  v_row public.rate_limits;
  v_now timestamptz;
  v_wait double precision;
begin
  insert into public.rate_limits (model) values (p_model) on conflict do nothing;
  select * into v_row from public.rate_limits where model = p_model for no key update;
  v_now := clock_timestamp();
  v_row.requests := coalesce((p_told ->> 'requests')::bigint, v_row.requests);
  v_row.input_tokens := coalesce((p_told ->> 'input_tokens')::bigint, v_row.input_tokens);
  v_row.output_tokens := coalesce((p_told ->> 'output_tokens')::bigint, v_row.output_tokens);
  v_row.requests_due := greatest(v_now, v_row.requests_due + make_interval(secs =>
    public.earned_in(coalesce((p_told ->> 'more_requests')::double precision, 0), v_row.requests)));
  v_row.input_due := greatest(v_now, v_row.input_due + make_interval(secs =>
    public.earned_in(coalesce((p_told ->> 'more_input')::double precision, 0), v_row.input_tokens)));
  v_row.output_due := greatest(v_now, v_row.output_due + make_interval(secs =>
    public.earned_in(coalesce((p_told ->> 'more_output')::double precision, 0), v_row.output_tokens)));
  v_wait := greatest(0,
    public.wait_for(v_row.requests_due, v_now, 1, v_row.requests),
    public.wait_for(v_row.input_due, v_now, p_input, v_row.input_tokens),
    public.wait_for(v_row.output_due, v_now, p_output, v_row.output_tokens));
  if v_wait = 0 then
    v_row.requests_due := v_row.requests_due + make_interval(secs => public.earned_in(1, v_row.requests));
    v_row.input_due := v_row.input_due + make_interval(secs => public.earned_in(p_input, v_row.input_tokens));
    v_row.output_due := v_row.output_due + make_interval(secs => public.earned_in(p_output, v_row.output_tokens));
  end if;
  update public.rate_limits set requests = v_row.requests, input_tokens = v_row.input_tokens,
    output_tokens = v_row.output_tokens, requests_due = v_row.requests_due,
    input_due = v_row.input_due, output_due = v_row.output_due, updated_at = v_now
  where model = p_model;
  return v_wait;
end $$;

-- Whose turn it is among jobs: a higher number comes first; equals share.
alter table public.batch_jobs add column priority smallint not null default 0 check (priority between -9 and 9);

create function public.set_priority(p_job uuid, p_priority integer, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.batch_jobs;
begin
  select * into v_job from public.batch_jobs where id = p_job for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_job.status in ('completed', 'failed', 'cancelled') then
    return jsonb_build_object('outcome', 'refused', 'job', public.job_view(p_job));
  end if;
  update public.batch_jobs set priority = p_priority where id = p_job;
  perform public.log_job(p_job, null, 'info', format('Priority %s by %s', p_priority, p_actor));
  return jsonb_build_object('outcome', 'ok', 'job', public.job_view(p_job));
end $$;

create function public.open_jobs() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'priority', priority) order by priority desc, created_at, id),
    '[]') from public.batch_jobs where status in ('queued', 'processing')
$$;

revoke execute on function public.earned_in(double precision, bigint),
  public.wait_for(timestamptz, timestamptz, double precision, bigint),
  public.take_turn(text, double precision, double precision, jsonb),
  public.set_priority(uuid, integer, text), public.open_jobs() from public, anon, authenticated;
grant execute on function public.earned_in(double precision, bigint),
  public.wait_for(timestamptz, timestamptz, double precision, bigint),
  public.take_turn(text, double precision, double precision, jsonb),
  public.set_priority(uuid, integer, text), public.open_jobs() to service_role;
