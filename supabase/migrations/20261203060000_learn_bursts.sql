-- How much a server takes in one moment is not told by any header. A call that is turned away although its limit is known
-- came in too large a burst: what may be taken at once is a quarter of it then, and grows back within an hour. Turned away by the
-- dozen in one moment is one such lesson.
alter table public.rate_limits
  add column burst double precision not null default 1 check (burst between 0 and 1), -- seconds' worth at once
  add column refused_at timestamptz; -- when that was last learned

create function public.wait_for(p_due timestamptz, p_now timestamptz, p_amount double precision, p_limit bigint,
  p_burst double precision)
returns double precision language sql immutable set search_path = '' as $$
  select case when p_limit is null then 0 else
    greatest(0, least(o.owed, o.owed + public.earned_in(p_amount, p_limit) - p_burst)) end
  from (select greatest(0, extract(epoch from p_due - p_now))::double precision as owed) o
$$;

create or replace function public.take_turn(p_model text, p_input double precision, p_output double precision, p_told jsonb) returns double precision
language plpgsql set search_path = '' as $$
declare
  v_row public.rate_limits;
  v_now timestamptz;
  v_burst double precision;
  v_wait double precision;
begin
  insert into public.rate_limits (model) values (p_model) on conflict do nothing;
  select * into v_row from public.rate_limits where model = p_model for no key update;
  v_now := clock_timestamp();
  v_burst := least(1, v_row.burst + extract(epoch from v_now - coalesce(v_row.refused_at, v_now)) / 3600);
  if (p_told ->> 'refused')::double precision > 0 and v_row.requests is not null
    and coalesce(v_row.refused_at < v_now - interval '2 seconds', true) then
    v_burst := v_burst / 4;
    v_row.burst := v_burst;
    v_row.refused_at := v_now;
  end if;
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
    public.wait_for(v_row.requests_due, v_now, 1, v_row.requests, v_burst),
    public.wait_for(v_row.input_due, v_now, p_input, v_row.input_tokens, v_burst),
    public.wait_for(v_row.output_due, v_now, p_output, v_row.output_tokens, v_burst));
  if v_wait = 0 then
    v_row.requests_due := v_row.requests_due + make_interval(secs => public.earned_in(1, v_row.requests));
    v_row.input_due := v_row.input_due + make_interval(secs => public.earned_in(p_input, v_row.input_tokens));
    v_row.output_due := v_row.output_due + make_interval(secs => public.earned_in(p_output, v_row.output_tokens));
  end if;
  update public.rate_limits set requests = v_row.requests, input_tokens = v_row.input_tokens,
    output_tokens = v_row.output_tokens, requests_due = v_row.requests_due,
    input_due = v_row.input_due, output_due = v_row.output_due, updated_at = v_now,
    burst = v_row.burst, refused_at = v_row.refused_at
  where model = p_model;
  return v_wait;
end $$;

drop function public.wait_for(timestamptz, timestamptz, double precision, bigint);
revoke execute on function public.wait_for(timestamptz, timestamptz, double precision, bigint, double precision)
  from public, anon, authenticated;
grant execute on function public.wait_for(timestamptz, timestamptz, double precision, bigint, double precision)
  to authenticated, service_role;
