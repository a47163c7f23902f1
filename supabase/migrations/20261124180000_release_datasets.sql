-- A dataset is a release: conversation versions that stay readable, their splits, and what they left as.

-- What a conversation was before it was changed; the newest version stands in its own row.
create table public.conversation_versions (
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  version integer not null check (version >= 1),
  writer text not null,
  model text not null,
  tier text not null,
  persona_key text,
  arc_key text,
  topic_key text,
  parameters jsonb not null,
  system_text text not null,
  turns jsonb not null,
  kept_at timestamptz not null default clock_timestamp(),
  primary key (conversation_id, version)
);
alter table public.conversation_versions enable row level security;
alter table public.conversation_versions force row level security;
revoke all on public.conversation_versions from public, anon, authenticated;
grant select, insert, delete on public.conversation_versions to service_role;
create trigger conversation_versions_immutable before update on public.conversation_versions
for each row execute function public.refuse_change();

-- Whoever changes what a conversation says, a person's SQL included, makes a new version and keeps the old.
-- An approval was given to a version: without a new decision in the same statement it does not carry over.
create function public.keep_conversation_version() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.conversation_versions (conversation_id, version, writer, model, tier, persona_key, arc_key,
    topic_key, parameters, system_text, turns)
  values (old.id, old.version, old.writer, old.model, old.tier, old.persona_key, old.arc_key, old.topic_key,
    old.parameters, old.system_text, old.turns)
  on conflict do nothing;
  new.version := greatest(new.version, old.version + 1);
  new.row_version := greatest(new.row_version, old.row_version + 1);
  if new.status = 'approved' and old.status = 'approved'
    and new.reviewed_at is not distinct from old.reviewed_at then
    new.status := 'pending_review';
    new.reviewed_by := null;
    new.reviewed_at := null;
    new.review_reason := null;
  end if;
  return new;
end $$;

create trigger conversations_keep_version before update on public.conversations for each row
when ((old.system_text, old.turns, old.parameters, old.writer, old.model, old.tier, old.persona_key, old.arc_key,
    old.topic_key)
  is distinct from (new.system_text, new.turns, new.parameters, new.writer, new.model, new.tier, new.persona_key,
    new.arc_key, new.topic_key))
execute function public.keep_conversation_version();

alter table public.datasets
  add column options jsonb not null default '{}',
  add column rejected_count integer not null default 0,
  add column duplicate_count integer not null default 0,
  add column prices jsonb not null default '[]',
  add column report jsonb; -- what the checks found; the same for ever, so it is counted once
alter table public.dataset_rows
  add column decision text not null default 'approved' check (decision in ('approved', 'rejected')),
  add column split_group text not null default '',
  add column cost_usd numeric(14, 6) not null default 0;

-- What must never stand on both sides of a split: the same situation, told once or a hundred times.
create function public.split_group(p_conversation public.conversations) returns text
language sql immutable set search_path = '' as $$
  select md5(case
    when btrim(coalesce(p_conversation.parameters #>> '{variables,scenario}', '')) <> ''
      then 'scenario ' || lower(btrim(p_conversation.parameters #>> '{variables,scenario}'))
    when coalesce(p_conversation.persona_key, p_conversation.arc_key, p_conversation.topic_key) is not null
      or coalesce(p_conversation.parameters -> 'variables', '{}') <> '{}'
      then 'parameters ' || jsonb_build_array(p_conversation.persona_key, p_conversation.arc_key,
        p_conversation.topic_key, coalesce(p_conversation.parameters -> 'variables', '{}'))::text
    else 'conversation ' || p_conversation.id::text
  end)
$$;

-- By the group alone, so that no row that comes later moves one that is there.
create function public.split_of(p_group text, p_validation numeric, p_test numeric) returns text
language sql immutable set search_path = '' as $$
  select case
    when share < p_test then 'test'
    when share < p_test + p_validation then 'validation'
    else 'train'
  end
  from (select ('x' || substr(md5('split ' || p_group), 1, 8))::bit(32)::bigint / 4294967296.0 as share) s
$$;

drop function public.freeze_dataset(text, jsonb, text);

-- Freezes what is approved and matches, as a numbered list of conversation versions with their splits. What
-- was rejected under the same filter is listed behind it: only labels of decisions are made of those.
create function public.freeze_dataset(p_name text, p_filter jsonb, p_actor text, p_options jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_dataset public.datasets;
  v_matched integer;
  v_rows integer;
  v_rejected integer;
  v_validation numeric := coalesce((p_options ->> 'validation')::numeric, 0);
  v_test numeric := coalesce((p_options ->> 'test')::numeric, 0);
begin
  perform pg_advisory_xact_lock(hashtextextended('dataset ' || p_name, 0));
  insert into public.datasets (name, version, filter, options, created_by)
  values (p_name, 1 + coalesce((select max(version) from public.datasets where name = p_name), 0),
    p_filter, p_options, p_actor)
  returning * into v_dataset;

  select count(*) into v_matched
  from public.matching_conversations(p_filter || '{"status": "approved"}'::jsonb);
  with chosen as (
    select c.*, md5(lower(jsonb_path_query_array(c.turns, '$[*].content')::text)) as said
    from public.matching_conversations(p_filter || '{"status": "approved"}'::jsonb) c
  ), told_once as ( -- the oldest of those that say the same
    select distinct on (said) * from chosen order by said, created_at, id
  )
  insert into public.dataset_rows (dataset_id, position, conversation_id, version, split, split_group,
    quality_score, flags, reviewed_by, reviewed_at, review_reason, cost_usd)
  select v_dataset.id, row_number() over (order by c.created_at, c.id), c.id, c.version,
    public.split_of(g.split_group, v_validation, v_test), g.split_group, c.quality_score, c.flags,
    c.reviewed_by, c.reviewed_at, c.review_reason, c.cost_usd
  from told_once t join public.conversations c on c.id = t.id
  cross join lateral (select public.split_group(c) as split_group) g;
  get diagnostics v_rows = row_count;
  if v_rows = 0 then
    delete from public.datasets where id = v_dataset.id;
    return jsonb_build_object('outcome', 'empty');
  end if;

  insert into public.dataset_rows (dataset_id, position, conversation_id, version, split, split_group,
    decision, quality_score, flags, reviewed_by, reviewed_at, review_reason, cost_usd)
  select v_dataset.id, v_rows + row_number() over (order by c.created_at, c.id), c.id, c.version,
    public.split_of(g.split_group, v_validation, v_test), g.split_group, 'rejected', c.quality_score, c.flags,
    c.reviewed_by, c.reviewed_at, c.review_reason, c.cost_usd
  from public.matching_conversations(p_filter || '{"status": "rejected"}'::jsonb) c
  cross join lateral (select public.split_group(c) as split_group) g;
  get diagnostics v_rejected = row_count;

  update public.datasets set row_count = v_rows, rejected_count = v_rejected,
    duplicate_count = v_matched - v_rows,
    demo_count = (
      select count(*) from public.dataset_rows r join public.conversations c on c.id = r.conversation_id
      where r.dataset_id = v_dataset.id and r.decision = 'approved' and c.writer = 'demo'),
    prices = (
      select coalesce(jsonb_agg(to_jsonb(p) - 'id' - 'created_at'
        order by p.model, p.effective_from, p.above_input_tokens), '[]')
      from public.prices p where p.effective_from <= current_date and p.model in (
        select c.model from public.dataset_rows r join public.conversations c on c.id = r.conversation_id
        where r.dataset_id = v_dataset.id))
  where id = v_dataset.id returning * into v_dataset;
  return jsonb_build_object('outcome', 'ok', 'dataset', to_jsonb(v_dataset));
end $$;

-- What the checks found is counted once; whoever comes second gets what the first one kept.
create function public.keep_dataset_report(p_dataset uuid, p_report jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
  update public.datasets set report = p_report where id = p_dataset and report is null;
  return (select report from public.datasets where id = p_dataset);
end $$;

-- What differs between two releases, counted, and its first rows named.
create function public.compare_datasets(p_older uuid, p_newer uuid, p_limit integer) returns jsonb
language sql stable set search_path = '' as $$
  with pairs as (
    select coalesce(o.conversation_id, n.conversation_id) as id, case
        when o.conversation_id is null then 'added'
        when n.conversation_id is null then 'removed'
        when o.version <> n.version then 'changed'
        when o.split <> n.split then 'moved'
        else 'same'
      end as kind, o.version as older, n.version as newer
    from (select * from public.dataset_rows where dataset_id = p_older and decision = 'approved') o
    full join (select * from public.dataset_rows where dataset_id = p_newer and decision = 'approved') n
      on n.conversation_id = o.conversation_id
  ), numbered as (
    select p.*, row_number() over (partition by p.kind order by p.id) as place from pairs p
  )
  select jsonb_build_object(
    'counts', (select coalesce(jsonb_object_agg(kind, total), '{}')
      from (select kind, count(*) as total from pairs group by kind) k),
    'rows', (select coalesce(jsonb_agg(jsonb_build_object('kind', x.kind, 'id', x.id, 'key', c.conversation_id,
        'name', c.first_words, 'older', x.older, 'newer', x.newer) order by x.kind, x.id), '[]')
      from numbered x join public.conversations c on c.id = x.id
      where x.kind <> 'same' and x.place <= p_limit))
$$;

drop view public.dataset_contents;
create view public.dataset_contents with (security_invoker = true) as
select r.dataset_id, r.position, r.decision, r.split, r.split_group, r.version, c.id, c.conversation_id, k.writer,
  k.model, k.tier, k.persona_key, k.arc_key, k.topic_key, k.parameters, k.system_text, k.turns,
  o.turns as first_turns, r.quality_score, r.flags, r.reviewed_by, r.reviewed_at, r.review_reason, r.cost_usd,
  c.job_id, c.created_at, t.template_key, v.version as template_version
from public.dataset_rows r
join public.conversations c on c.id = r.conversation_id
cross join lateral (
  select c.writer, c.model, c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns
  where c.version = r.version
  union all
  select w.writer, w.model, w.tier, w.persona_key, w.arc_key, w.topic_key, w.parameters, w.system_text, w.turns
  from public.conversation_versions w
  where w.conversation_id = r.conversation_id and w.version = r.version and c.version <> r.version
) k
left join public.conversation_versions o -- what the writer wrote, before people corrected it
  on o.conversation_id = r.conversation_id and o.version = 1 and r.version > 1
left join public.template_versions v on v.id = c.template_version_id
left join public.templates t on t.id = v.template_id;
revoke all on public.dataset_contents from public, anon, authenticated;
grant select on public.dataset_contents to service_role;

revoke execute on function public.keep_conversation_version(), public.split_group(public.conversations),
  public.split_of(text, numeric, numeric), public.freeze_dataset(text, jsonb, text, jsonb),
  public.keep_dataset_report(uuid, jsonb), public.compare_datasets(uuid, uuid, integer)
from public, anon, authenticated;
grant execute on function public.keep_conversation_version(), public.split_group(public.conversations),
  public.split_of(text, numeric, numeric), public.freeze_dataset(text, jsonb, text, jsonb),
  public.keep_dataset_report(uuid, jsonb), public.compare_datasets(uuid, uuid, integer)
to service_role;

insert into storage.buckets (id, name, public, file_size_limit)
values ('datasets', 'datasets', false, 52428800)
on conflict (id) do nothing;
