-- A judge reads what was written and scores it by a rubric. Judging is a batch like writing: items, leases, budget
-- and ledger are the same, only what an answer becomes differs. An item that judges names its conversation and
-- version in its parameters and has neither template nor conversation of its own.

alter table public.batch_jobs add column kind text not null default 'write' check (kind in ('write', 'judge'));
alter table public.batch_items
  alter column template_version_id drop not null,
  drop constraint batch_items_conversation,
  add constraint batch_items_conversation check (case when parameters ? 'judging' then conversation_id is null
    else (status = 'completed') = (conversation_id is not null) end),
  add constraint batch_items_template check (template_version_id is not null or parameters ? 'judging');
create index batch_items_judging_idx on public.batch_items ((parameters #>> '{judging,conversation_id}'))
  where parameters ? 'judging';

create table public.verdicts (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  version integer not null check (version >= 1),
  item_id uuid unique references public.batch_items (id) on delete set null,
  job_id uuid,
  model text not null,
  rubric integer not null,
  scores jsonb not null check (jsonb_typeof(scores) = 'array'), -- dimension, score, evidence, reason, turn
  lowest integer not null check (lowest between 1 and 5),
  is_doubtful boolean not null, -- some of its evidence is not in the conversation
  raw_path text,
  created_at timestamptz not null default clock_timestamp()
);
create index verdicts_conversation_idx on public.verdicts (conversation_id, version, created_at desc);
alter table public.verdicts enable row level security;
alter table public.verdicts force row level security;
revoke all on public.verdicts from public, anon, authenticated;
grant select, insert, update, delete on public.verdicts to service_role;
create trigger verdicts_append_only before update or delete on public.verdicts
for each row when (pg_trigger_depth() = 0) execute function public.refuse_change();

-- What a filter means of what is there to judge: not what has a verdict of this model and rubric on its text,
-- unless it is wanted again, and never what is on its way to one.
create function public.conversations_to_judge(p_filter jsonb, p_model text, p_rubric integer, p_again boolean,
  p_limit integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_found jsonb;
begin
  execute 'select coalesce(jsonb_agg(jsonb_build_object(''id'', f.id, ''version'', f.version, ''parameters'', '
    || 'f.parameters, ''turns'', f.turns) order by f.created_at, f.id), ''[]'') from (select c.* '
    || 'from public.conversations c where ' || public.filter_condition(p_filter)
    || ' and jsonb_array_length(c.turns) > 0 and ($3 or not exists (select from public.verdicts v '
    || 'where v.conversation_id = c.id and v.version = c.version and v.model = $1 and v.rubric = $2)) '
    || 'and not exists (select from public.batch_items i where i.parameters ? ''judging'' '
    || 'and i.parameters #>> ''{judging,conversation_id}'' = c.id::text and i.status in (''queued'', ''processing'')) '
    || 'order by c.created_at, c.id limit $4) f' into v_found using p_model, p_rubric, p_again, p_limit;
  return v_found;
end $$;

-- A batch that judges. Null where prices have changed; outcome `taken` where somebody else has ordered the
-- verdict of one of its conversations meanwhile.
create function public.create_judge_job(p_job jsonb, p_items jsonb, p_estimate jsonb, p_mark bigint)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_job jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended('judging', 0));
  if exists (
    select from jsonb_array_elements(p_items) e
    join public.batch_items i
      on i.parameters #>> '{judging,conversation_id}' = e #>> '{parameters,judging,conversation_id}'
    where i.parameters ? 'judging' and i.status in ('queued', 'processing')) then
    return jsonb_build_object('outcome', 'taken');
  end if;
  v_job := public.create_priced_job(p_job, p_items, p_estimate, p_mark);
  if v_job is null then
    return null;
  end if;
  update public.batch_jobs set kind = 'judge' where id = (v_job ->> 'id')::uuid;
  return public.job_view((v_job ->> 'id')::uuid);
end $$;

-- The text a verdict is about: as it was when the verdict was ordered, whatever became of it since.
create function public.text_to_judge(p_id uuid, p_version integer) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('turns', t.turns, 'parameters', t.parameters) from (
    select turns, parameters from public.conversations where id = p_id and version = p_version
    union all
    select turns, parameters from public.conversation_versions
    where conversation_id = p_id and version = p_version
  ) t limit 1
$$;

create function public.record_verdict(p_item public.batch_items, p_verdict jsonb) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_conversation uuid := (p_item.parameters #>> '{judging,conversation_id}')::uuid;
  v_version integer := (p_item.parameters #>> '{judging,version}')::integer;
begin
  insert into public.verdicts (conversation_id, version, item_id, job_id, model, rubric, scores, lowest,
    is_doubtful, raw_path)
  select v_conversation, v_version, p_item.id, p_item.job_id, v.model, v.rubric, v.scores, v.lowest,
    v.is_doubtful, v.raw_path
  from jsonb_populate_record(null::public.verdicts, p_verdict) v
  on conflict (item_id) do nothing;
  perform public.mark_conversations(array['JUDGED_LOW', 'EVIDENCE_NOT_FOUND'], jsonb_build_array(
    jsonb_build_object('id', v_conversation, 'version', v_version, 'marks', p_verdict -> 'marks')));
  return v_conversation;
end $$;

-- As before, but a judge's answer becomes a verdict.
create or replace function public.complete_item(p_item uuid, p_token uuid, p_attempt jsonb, p_conversation jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_item public.batch_items;
  v_job public.batch_jobs;
  v_conversation uuid;
  v_finished boolean;
begin
  select * into v_item from public.batch_items where id = p_item for no key update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  end if;
  if v_item.status = 'completed' and exists (select 1 from public.attempts
    where item_id = p_item and token = p_token and number = v_item.attempts) then
    -- Done already: the answer to the same step was lost on its way, and it is told again.
    return jsonb_build_object('outcome', 'completed', 'conversation_id', v_item.conversation_id,
      'finished', (select status = 'completed' from public.batch_jobs where id = v_item.job_id),
      'job', public.job_view(v_item.job_id));
  end if;
  perform public.record_attempt(p_item, p_token, p_attempt);
  if v_item.status <> 'processing' or v_item.token <> p_token then
    perform public.log_job(v_item.job_id, p_item, 'warning',
      format('Item %s... was answered late; the answer is kept beside the other', left(p_item::text, 8)));
    return jsonb_build_object('outcome', 'fenced', 'job', public.job_view(v_item.job_id));
  end if;
  select * into v_job from public.batch_jobs where id = v_item.job_id;

  v_conversation := case when v_job.kind = 'judge' then public.record_verdict(v_item, p_conversation)
    else public.insert_conversation(v_item, v_job.writer, p_conversation) end;
  update public.batch_items set status = 'completed',
    conversation_id = case when v_job.kind = 'write' then v_conversation end, token = null,
    lease_until = null, worker = null, error_code = null, error_message = null,
    cost_usd = (select sum(a.cost_usd) from public.attempts a where a.item_id = p_item),
    ended_at = clock_timestamp()
  where id = p_item;
  insert into public.job_log (job_id, item_id, message) values (v_item.job_id, p_item,
    format('Item %s... completed (conversation: %s...)', left(p_item::text, 8), left(v_conversation::text, 8)));
  v_finished := public.finish_job(v_item.job_id);
  return jsonb_build_object('outcome', 'completed', 'conversation_id', v_conversation,
    'finished', v_finished, 'job', public.job_view(v_item.job_id));
end $$;

drop view public.batch_overview; -- made again, so that it has the columns that jobs have got since
create view public.batch_overview with (security_invoker = true) as
select j.*, c.queued, c.processing, c.completed, c.failed, c.cancelled, c.spent_usd, c.possible_usd,
  c.reserved_usd, c.pace_seconds * (c.queued + c.processing) as seconds_left,
  60 / nullif(c.pace_seconds, 0) as rate_per_minute
from public.batch_jobs j join public.batch_counts c on c.job_id = j.id;
revoke all on public.batch_overview from anon, authenticated;
grant select on public.batch_overview to service_role;

-- Items that judge have no template.
create or replace view public.item_rows with (security_invoker = true) as
select i.id, i.job_id, i.position, i.status, i.parameters, i.template_version_id, i.template_choice,
  i.attempts, i.conversation_id, i.error_code, i.error_message, i.next_attempt_at, i.cost_usd,
  extract(epoch from i.ended_at - i.claimed_at)::double precision as seconds,
  t.name as template_name, v.version as template_version, k.quality_score
from public.batch_items i
left join public.template_versions v on v.id = i.template_version_id
left join public.templates t on t.id = v.template_id
left join public.conversations k on k.id = i.conversation_id;

-- A judge's answer becomes no conversation when it is read again.
create or replace view public.answer_rows with (security_invoker = true) as
select a.item_id, a.job_id, i.position, i.status, i.attempts, i.parameters, i.template_version_id, a.number,
  a.raw_path, a.error_code, a.started_at, k.id as conversation_id, k.row_version,
  k.status as conversation_status, k.created_at
from public.attempts a
join public.batch_items i on i.id = a.item_id
left join public.conversations k on k.item_id = i.id
where a.outcome in ('stored', 'unknown') and not i.parameters ? 'judging'
  and ((i.status = 'failed' and k.id is null) or (i.status = 'completed' and a.raw_path = k.raw_path));

-- What was judged is neither planned nor written: coverage and the price of an approved conversation leave it out.
create or replace function public.insight_items(p_scope jsonb) returns table (id uuid, status text, writer text,
  model text, template_version_id uuid, persona_key text, arc_key text, topic_key text,
  conversation_status text)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan as $$
begin
  return query select i.id, i.status, j.writer, j.model, i.template_version_id,
    i.parameters ->> 'persona_key', i.parameters ->> 'arc_key', i.parameters ->> 'topic_key',
    c.status
  from public.batch_items i
  join public.batch_jobs j on j.id = i.job_id
  left join public.conversations c on c.id = i.conversation_id
  where j.kind = 'write'
    and (p_scope ->> 'job_id' is null or i.job_id = (p_scope ->> 'job_id')::uuid)
    and (p_scope ->> 'writer' is null or j.writer = p_scope ->> 'writer')
    and (p_scope ->> 'since' is null or coalesce(c.created_at, j.created_at)
      >= (p_scope ->> 'since')::date::timestamp at time zone 'UTC')
    and (p_scope ->> 'until' is null or coalesce(c.created_at, j.created_at)
      < ((p_scope ->> 'until')::date + 1)::timestamp at time zone 'UTC');
end $$;

-- The newest verdict on each text beside the decision that stands on the same text, in counts.
create function public.judge_calibration(p_scope jsonb) returns jsonb
language sql stable set search_path = '' set work_mem = '32MB' as $$
  with told as (
    select distinct on (v.conversation_id, v.version) v.conversation_id, v.version, v.scores, v.lowest,
      v.is_doubtful
    from public.verdicts v join public.insight_conversations(p_scope) c on c.id = v.conversation_id
    order by v.conversation_id, v.version, v.created_at desc, v.id
  ), decided as (
    select distinct on (conversation_id, version) conversation_id, version, decision
    from public.counted_reviews order by conversation_id, version, created_at desc, id
  ), both_said as (
    select t.*, d.decision = 'approved' as is_approved from told t join decided d using (conversation_id, version)
  ), counts as (
    select 'all' as dimension, lowest as score, is_approved, count(*) as times from both_said group by 1, 2, 3
    union all
    select s ->> 'dimension', (s ->> 'score')::integer, is_approved, count(*)
    from both_said, jsonb_array_elements(scores) s group by 1, 2, 3
  )
  select jsonb_build_object('verdicts', (select count(*) from told),
    'doubtful', (select count(*) from told where is_doubtful),
    'counts', (select coalesce(jsonb_agg(to_jsonb(c) order by dimension, score, is_approved), '[]') from counts c))
$$;

revoke execute on function public.conversations_to_judge(jsonb, text, integer, boolean, integer),
  public.create_judge_job(jsonb, jsonb, jsonb, bigint), public.text_to_judge(uuid, integer),
  public.record_verdict(public.batch_items, jsonb), public.complete_item(uuid, uuid, jsonb, jsonb),
  public.insight_items(jsonb), public.judge_calibration(jsonb)
from public, anon, authenticated;
grant execute on function public.conversations_to_judge(jsonb, text, integer, boolean, integer),
  public.create_judge_job(jsonb, jsonb, jsonb, bigint), public.text_to_judge(uuid, integer),
  public.record_verdict(public.batch_items, jsonb), public.complete_item(uuid, uuid, jsonb, jsonb),
  public.insight_items(jsonb), public.judge_calibration(jsonb)
to service_role;
