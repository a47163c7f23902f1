-- What it cost: by item, by job, by template version and model, by approved conversation. What was spent and
-- what may have been are never added up. Read when somebody looks; no step of a batch pays for any of it.

-- One row an item, with every call that was made for it.
create view public.item_costs with (security_invoker = true) as
select i.id as item_id, i.job_id, i.position, i.template_version_id, j.writer, j.model,
  i.status as item_status, k.status as conversation_status, a.calls, a.unknown_calls, a.spent_usd,
  a.possible_usd, a.input_tokens, a.output_tokens, a.cache_read_tokens, a.cache_write_tokens
from public.batch_items i
join public.batch_jobs j on j.id = i.job_id
left join public.conversations k on k.id = i.conversation_id
cross join lateral (
  select (count(*) filter (where x.outcome <> 'skipped'))::integer as calls,
    (count(*) filter (where x.outcome = 'unknown'))::integer as unknown_calls,
    coalesce(sum(x.cost_usd), 0) as spent_usd, coalesce(sum(x.possible_usd), 0) as possible_usd,
    coalesce(sum(x.input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(x.output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(x.cache_read_tokens), 0)::bigint as cache_read_tokens,
    coalesce(sum(x.cache_write_tokens), 0)::bigint as cache_write_tokens
  from public.attempts x where x.item_id = i.id
) a;

-- One row for each template version and model, over all jobs.
create view public.version_costs with (security_invoker = true) as
select c.template_version_id, c.model, c.writer, v.template_id, t.template_key, t.name as template_name,
  v.version, count(*)::integer as items,
  (count(*) filter (where c.item_status = 'completed'))::integer as completed,
  (count(*) filter (where c.conversation_status = 'approved'))::integer as approved,
  (count(*) filter (where c.conversation_status = 'rejected'))::integer as rejected,
  sum(c.calls)::integer as calls, sum(c.unknown_calls)::integer as unknown_calls,
  sum(c.spent_usd) as spent_usd, sum(c.possible_usd) as possible_usd
from public.item_costs c
join public.template_versions v on v.id = c.template_version_id
join public.templates t on t.id = v.template_id
group by c.template_version_id, c.model, c.writer, v.template_id, t.template_key, t.name, v.version;

-- What caching changed for a job's bill: reads at less than the input price, against writes at more.
create function public.cache_savings(p_job uuid) returns numeric
language sql stable set search_path = '' as $$
  select coalesce(sum(a.cache_read_tokens * (p.input_usd - p.cache_read_usd)
    - a.cache_write_tokens * p.input_usd * (p.cache_write_factor - 1)), 0) / 1000000
  from public.attempts a
  cross join lateral public.price_of(a.model, (a.started_at at time zone 'UTC')::date,
    a.input_tokens::bigint + a.cache_read_tokens + a.cache_write_tokens) p
  where a.job_id = p_job and a.cache_read_tokens + a.cache_write_tokens > 0
$$;

-- Everything about the money of one job, as a page or a shell shows it; null where there is no such job.
create function public.job_costs(p_job uuid) returns jsonb
language sql stable set search_path = '' as $$
  with items as (
    select * from public.item_costs where job_id = p_job
  ), templates as (
    select i.template_version_id, t.name as template_name, v.version, count(*) as items,
      count(*) filter (where i.item_status = 'completed') as completed,
      count(*) filter (where i.conversation_status = 'approved') as approved,
      count(*) filter (where i.conversation_status = 'rejected') as rejected,
      sum(i.calls) as calls, sum(i.unknown_calls) as unknown_calls, sum(i.spent_usd) as spent_usd,
      sum(i.possible_usd) as possible_usd
    from items i
    join public.template_versions v on v.id = i.template_version_id
    join public.templates t on t.id = v.template_id
    group by i.template_version_id, t.name, v.version
  )
  select jsonb_build_object(
    'job_id', j.id, 'model', j.model, 'writer', j.writer, 'budget_usd', j.budget_usd,
    'spent_usd', c.spent_usd, 'possible_usd', c.possible_usd, 'reserved_usd', c.reserved_usd,
    'saved_usd', public.cache_savings(p_job),
    'totals', (select jsonb_build_object('items', count(*),
      'completed', count(*) filter (where item_status = 'completed'),
      'approved', count(*) filter (where conversation_status = 'approved'),
      'rejected', count(*) filter (where conversation_status = 'rejected'),
      'calls', coalesce(sum(calls), 0), 'unknown_calls', coalesce(sum(unknown_calls), 0),
      'input_tokens', coalesce(sum(input_tokens), 0), 'output_tokens', coalesce(sum(output_tokens), 0),
      'cache_read_tokens', coalesce(sum(cache_read_tokens), 0),
      'cache_write_tokens', coalesce(sum(cache_write_tokens), 0)) from items),
    'templates', (select coalesce(jsonb_agg(to_jsonb(t) || jsonb_build_object('model', j.model,
      'writer', j.writer) order by t.spent_usd desc, t.template_name, t.version), '[]') from templates t),
    'estimate', (select to_jsonb(e) from public.job_estimates e where e.job_id = p_job))
  from public.batch_jobs j join public.batch_counts c on c.job_id = j.id where j.id = p_job
$$;

revoke all on public.item_costs, public.version_costs from anon, authenticated;
grant select on public.item_costs, public.version_costs to service_role;
revoke execute on function public.cache_savings(uuid), public.job_costs(uuid) from public, anon, authenticated;
grant execute on function public.cache_savings(uuid), public.job_costs(uuid) to service_role;
