-- Scenarios that were told in nearly the same words stand on one side of a split. Which scenario's hash places a
-- scenario is settled when its first conversation is frozen, once for all datasets: no row that comes later, not
-- even one that is like rows of two scenarios, moves one that is there.
create table public.split_anchors (
  split_group text primary key,
  anchor text not null, -- the group whose hash decides; its own where nothing was like it
  placed_at timestamptz not null default clock_timestamp()
);
alter table public.split_anchors enable row level security;
alter table public.split_anchors force row level security;
revoke all on public.split_anchors from public, anon, authenticated;
grant select, insert on public.split_anchors to service_role;
create trigger split_anchors_immutable before update on public.split_anchors
for each row execute function public.refuse_change();

insert into public.split_anchors (split_group, anchor)
select distinct split_group, split_group from public.dataset_rows where split_group <> '';

alter table public.datasets
  add column near_duplicates jsonb; -- what was alike, and what was left out for it; null before anybody looked

-- What would be frozen: every text once, the oldest, then what was rejected under the same filter. Those that
-- stood in a dataset before come first, in the order they came in: where two cannot both stay, the later one goes.
create function public.dataset_candidates(p_filter jsonb, p_options jsonb) returns jsonb
language sql stable set search_path = '' as $$
  with approved as (
    select c.id, c.created_at, md5(lower(jsonb_path_query_array(c.turns, '$[*].content')::text)) as said
    from public.matching_conversations(p_filter || '{"status": "approved"}'::jsonb) c
  ), listed as (
    select id, true as is_approved
    from (select distinct on (said) id from approved order by said, created_at, id) told_once
    union all
    select c.id, false from public.matching_conversations(p_filter || '{"status": "rejected"}'::jsonb) c
  ), placed as (
    select r.conversation_id as id, min(d.created_at) as since
    from public.dataset_rows r join public.datasets d on d.id = r.dataset_id group by r.conversation_id
  )
  select jsonb_build_object(
    'duplicates', (select count(*) from approved) - count(*) filter (where l.is_approved),
    'rows', coalesce(jsonb_agg(jsonb_build_array(c.id, c.version, l.is_approved, g.split_group, a.anchor,
        public.split_of(a.anchor, coalesce((p_options ->> 'validation')::numeric, 0),
          coalesce((p_options ->> 'test')::numeric, 0)))
      order by l.is_approved desc, p.since nulls last, c.created_at, c.id), '[]'))
  from listed l join public.conversations c on c.id = l.id
  cross join lateral (select public.split_group(c) as split_group) g
  left join public.split_anchors a on a.split_group = g.split_group
  left join placed p on p.id = c.id
$$;

drop function public.freeze_dataset(text, jsonb, text, jsonb);

-- Freezes what was looked at, as far as it still stands as it was seen, as a numbered list of conversation versions
-- with their splits; what was rejected is listed behind it, for labels of decisions alone. The plan holds `versions`
-- by conversation, `anchors` by group for groups that had none, `duplicates` and `near_duplicates`.
create function public.freeze_dataset(p_name text, p_filter jsonb, p_actor text, p_options jsonb, p_plan jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_dataset public.datasets;
  v_rows integer := 0;
  v_count integer;
  v_decision text;
  v_validation numeric := coalesce((p_options ->> 'validation')::numeric, 0);
  v_test numeric := coalesce((p_options ->> 'test')::numeric, 0);
begin
  perform pg_advisory_xact_lock(hashtextextended('dataset ' || p_name, 0));
  insert into public.datasets (name, version, filter, options, created_by, duplicate_count, near_duplicates)
  values (p_name, 1 + coalesce((select max(version) from public.datasets where name = p_name), 0),
    p_filter, p_options, p_actor, (p_plan ->> 'duplicates')::integer, p_plan -> 'near_duplicates')
  returning * into v_dataset;

  foreach v_decision in array array['approved', 'rejected'] loop
    insert into public.dataset_rows (dataset_id, position, conversation_id, version, split, split_group,
      decision, quality_score, flags, reviewed_by, reviewed_at, review_reason, cost_usd)
    select v_dataset.id, v_rows + row_number() over (order by c.created_at, c.id), c.id, c.version,
      public.split_of(coalesce(a.anchor, n.value, g.split_group), v_validation, v_test), g.split_group, v_decision,
      c.quality_score, c.flags, c.reviewed_by, c.reviewed_at, c.review_reason, c.cost_usd
    from jsonb_each_text(p_plan -> 'versions') v
    join public.conversations c on c.id = v.key::uuid and c.version = v.value::integer
    join public.matching_conversations(p_filter || jsonb_build_object('status', v_decision)) m on m.id = c.id
    cross join lateral (select public.split_group(c) as split_group) g
    left join public.split_anchors a on a.split_group = g.split_group
    left join jsonb_each_text(p_plan -> 'anchors') n on n.key = g.split_group;
    get diagnostics v_count = row_count;
    if v_decision = 'approved' then
      v_rows := v_count;
      if v_rows = 0 then
        delete from public.datasets where id = v_dataset.id;
        return jsonb_build_object('outcome', 'empty');
      end if;
    end if;
  end loop;

  insert into public.split_anchors (split_group, anchor)
  select r.split_group, coalesce(n.value, r.split_group)
  from (select distinct split_group from public.dataset_rows where dataset_id = v_dataset.id) r
  left join jsonb_each_text(p_plan -> 'anchors') n on n.key = r.split_group
  order by r.split_group
  on conflict do nothing;
  if exists (
    select 1 from jsonb_each_text(p_plan -> 'anchors') n
    join public.split_anchors a on a.split_group = n.key where a.anchor <> n.value
  ) then
    raise exception 'Another dataset placed the same scenarios meanwhile' using errcode = 'serialization_failure',
      hint = 'Look again and freeze again.';
  end if;

  update public.datasets set row_count = v_rows, rejected_count = v_count,
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

revoke execute on function public.dataset_candidates(jsonb, jsonb),
  public.freeze_dataset(text, jsonb, text, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.dataset_candidates(jsonb, jsonb),
  public.freeze_dataset(text, jsonb, text, jsonb, jsonb) to service_role;
