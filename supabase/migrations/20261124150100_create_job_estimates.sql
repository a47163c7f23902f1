-- What a job was expected to cost when it was started, and what its prompts keep to.

create table public.job_estimates (
  job_id uuid primary key references public.batch_jobs (id) on delete cascade,
  input_tokens bigint not null,
  output_tokens bigint not null,
  expected_usd numeric(14, 6) not null,
  high_usd numeric(14, 6) not null,
  worst_usd numeric(14, 6) not null,
  basis text not null default '',
  -- By template version: input_bound, the tokens no prompt exceeds, on which every reserve rests; and
  -- standing, the characters of the message that all prompts share after the system prompt, or null.
  terms jsonb not null default '{}' check (jsonb_typeof(terms) = 'object'),
  created_at timestamptz not null default clock_timestamp()
);

-- A job, its items and its estimate, or nothing. Null when prices have changed since p_mark: what the items
-- reserve was calculated with others.
create function public.create_priced_job(p_job jsonb, p_items jsonb, p_estimate jsonb, p_mark bigint)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job jsonb;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('prices', 0));
  if p_mark <> public.price_mark() then
    return null;
  end if;
  v_job := public.create_job(p_job, p_items);
  insert into public.job_estimates (job_id, input_tokens, output_tokens, expected_usd, high_usd, worst_usd,
    basis, terms)
  select (v_job ->> 'id')::uuid, e.input_tokens, e.output_tokens, e.expected_usd, e.high_usd, e.worst_usd,
    coalesce(e.basis, ''), coalesce(e.terms, '{}')
  from jsonb_populate_record(null::public.job_estimates, p_estimate) e;
  return v_job;
end $$;

-- What answers took so far, in tokens for each turn, by template version and by template: the middle and
-- the ninetieth of a hundred. Looks at the newest conversations only, so that it costs the same for ever.
create function public.output_history(p_model text, p_versions uuid[]) returns table (
  template_version_id uuid, template_id uuid, answers integer, p50 double precision, p90 double precision)
language sql stable set search_path = '' as $$
  with wanted as (
    select distinct v.template_id from public.template_versions v where v.id = any(p_versions)
  ), recent as (
    select c.item_id, c.template_version_id, c.turn_count from public.conversations c
    where c.writer = 'claude' and c.turn_count > 0
    order by c.created_at desc, c.id limit 5000
  ), used as (
    select v.template_id, r.template_version_id, a.output_tokens::double precision / r.turn_count as per_turn
    from recent r
    join public.template_versions v on v.id = r.template_version_id
    join wanted w on w.template_id = v.template_id
    join public.attempts a on a.item_id = r.item_id
    where a.model = p_model and a.outcome = 'stored' and a.error_code is null and a.output_tokens > 0
  )
  select u.template_version_id, u.template_id, count(*)::integer,
    percentile_cont(0.5) within group (order by u.per_turn),
    percentile_cont(0.9) within group (order by u.per_turn)
  from used u group by grouping sets ((u.template_id, u.template_version_id), (u.template_id))
$$;

alter table public.job_estimates enable row level security;
alter table public.job_estimates force row level security;
revoke all on public.job_estimates from anon, authenticated;
grant select, insert, update, delete on public.job_estimates to service_role;
revoke execute on function public.create_priced_job(jsonb, jsonb, jsonb, bigint), public.output_history(text, uuid[])
  from public, anon, authenticated;
grant execute on function public.create_priced_job(jsonb, jsonb, jsonb, bigint), public.output_history(text, uuid[])
  to service_role;
