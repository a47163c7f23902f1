-- Several reviewers, one review: reasons everybody shares, an order of decisions no clock can turn round, and an
-- undo that leaves alone whatever has changed since.

create table public.reject_reasons (
  reason text primary key check (length(reason) between 1 and 80),
  position integer not null
);
insert into public.reject_reasons (reason, position)
select reason, n from unnest(array['Off topic', 'Emotional arc not followed', 'Unhelpful or wrong advice',
  'Unnatural voice', 'Too short or too long', 'Repetitive', 'Speaks for the user', 'Unsafe', 'Other'])
  with ordinality as given (reason, n);

-- Puts a new list in the place of the one its editor saw. Reasons given before stay as they were given.
create function public.set_reject_reasons(p_before jsonb, p_reasons jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now jsonb;
begin
  lock table public.reject_reasons in share row exclusive mode;
  select coalesce(jsonb_agg(reason order by position), '[]') into v_now from public.reject_reasons;
  if v_now <> p_before then
    return jsonb_build_object('outcome', 'changed', 'reasons', v_now);
  end if;
  delete from public.reject_reasons;
  insert into public.reject_reasons (reason, position)
  select reason, n from jsonb_array_elements_text(p_reasons) with ordinality as given (reason, n);
  return jsonb_build_object('outcome', 'ok', 'reasons', p_reasons);
end $$;

-- Decisions on one conversation follow each other under its lock, so this counts them as they happened.
alter table public.reviews add column entry bigint generated always as identity;
drop index public.reviews_conversation_idx;
create index reviews_conversation_idx on public.reviews (conversation_id, entry desc);

-- Takes one operation back, row by row, where nobody has decided on it or changed its words since.
create or replace function public.undo_decision(p_operation uuid, p_reviewer text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_undone integer;
  v_total integer;
  v_new uuid := gen_random_uuid();
begin
  select count(*) into v_total from public.reviews where operation_id = p_operation;
  perform 1 from public.conversations c
  where c.id in (select conversation_id from public.reviews where operation_id = p_operation)
  order by c.id for update;
  with mine as (
    select r.* from public.reviews r
    where r.operation_id = p_operation and not exists (select from public.reviews later
      where later.conversation_id = r.conversation_id and later.entry > r.entry)
  ), changed as (
    update public.conversations c set status = m.previous_status, row_version = c.row_version + 1,
      reviewed_by = case when m.previous_status = 'pending_review' then null else p_reviewer end,
      reviewed_at = case when m.previous_status = 'pending_review' then null else clock_timestamp() end,
      review_reason = null, updated_at = clock_timestamp()
    from mine m where c.id = m.conversation_id and c.status = m.decision and c.version = m.version
    returning c.id
  )
  insert into public.reviews (conversation_id, version, decision, previous_status, reviewer, operation_id,
    undoes)
  select m.conversation_id, m.version, m.previous_status, m.decision, p_reviewer, v_new, p_operation
  from mine m join changed on changed.id = m.conversation_id;
  get diagnostics v_undone = row_count;
  return jsonb_build_object('operation_id', v_new, 'undone', v_undone, 'kept', v_total - v_undone);
end $$;

-- How many match in each status; a status in the filter itself would leave one.
create function public.count_conversation_statuses(p_filter jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_counts jsonb;
begin
  execute 'select coalesce(jsonb_object_agg(status, number), ''{}'') from (select c.status, count(*) as number '
    || 'from public.conversations c where ' || public.filter_condition(p_filter) || ' group by c.status) s'
  into v_counts;
  return v_counts;
end $$;

-- What a list may show and how, kept by name for everybody, and the columns each person chose.
create table public.saved_views (
  name text primary key check (length(name) between 1 and 60),
  query jsonb not null check (jsonb_typeof(query) = 'object'), -- what is chosen, by the name of each choice
  saved_by text not null,
  saved_at timestamptz not null default clock_timestamp()
);
create table public.list_columns (
  person text not null check (length(person) between 1 and 200),
  list text not null,
  columns text[] not null,
  primary key (person, list)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['reject_reasons', 'saved_views', 'list_columns'] loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end $$;
revoke execute on function public.set_reject_reasons(jsonb, jsonb), public.undo_decision(uuid, text),
  public.count_conversation_statuses(jsonb)
from public, anon, authenticated;
grant execute on function public.set_reject_reasons(jsonb, jsonb), public.undo_decision(uuid, text),
  public.count_conversation_statuses(jsonb)
to service_role;
