-- The price table in full: what caching and batches cost, and every change that was ever made to it.

alter table public.prices
  add column cache_write_factor numeric(6, 3) not null default 1.25 check (cache_write_factor >= 1),
  add column cache_write_hour_factor numeric(6, 3) not null default 2 check (cache_write_hour_factor >= 1),
  add column batch_factor numeric(6, 3) not null default 0.5 check (batch_factor > 0 and batch_factor <= 1),
  -- The shortest prefix the model caches; a shorter one is sent without asking for it.
  add column cache_min_tokens integer not null default 4096 check (cache_min_tokens > 0),
  add column changed_by text not null default 'seed',
  -- What costs nothing would make every budget useless.
  add constraint prices_not_free check (input_usd > 0 and output_usd > 0);

update public.prices set cache_min_tokens = 1024 where model = 'claude-sonnet-5-5';
update public.prices set cache_min_tokens = 512
where model in ('claude-opus-5', 'claude-opus-5-5', 'claude-fable-5-1');

create table public.price_changes (
  id bigint generated always as identity primary key,
  model text not null,
  effective_from date not null,
  above_input_tokens integer not null,
  before jsonb, -- null: the price is new
  after jsonb, -- null: the price was removed
  changed_by text not null,
  changed_at timestamptz not null default clock_timestamp()
);
create index price_changes_model_idx on public.price_changes (model, id desc);

insert into public.price_changes (model, effective_from, above_input_tokens, after, changed_by, changed_at)
select model, effective_from, above_input_tokens, to_jsonb(p) - 'id' - 'created_at' - 'changed_by',
  changed_by, created_at
from public.prices p order by created_at, model, above_input_tokens;

-- History follows the table, whoever writes it: a person's SQL and the seed included.
create function public.note_price_change() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - 'id' - 'created_at' - 'changed_by' end;
  v_after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - 'id' - 'created_at' - 'changed_by' end;
  v_named jsonb := coalesce(v_after, v_before);
begin
  if v_before is distinct from v_after then
    insert into public.price_changes (model, effective_from, above_input_tokens, before, after, changed_by)
    values (v_named ->> 'model', (v_named ->> 'effective_from')::date,
      (v_named ->> 'above_input_tokens')::integer, v_before, v_after,
      case when tg_op = 'DELETE' then session_user else new.changed_by end);
  end if;
  return null;
end $$;

create trigger prices_note_change after insert or update or delete on public.prices
for each row execute function public.note_price_change();
create trigger price_changes_append_only before update or delete on public.price_changes
for each row execute function public.refuse_change();

-- The name under which a model is priced on a day. A snapshot is priced as its alias and an alias as its
-- newest snapshot, unless the table names it itself; a model of another name is never taken for it.
create function public.priced_as(p_model text, p_day date) returns text
language sql stable set search_path = '' as $$
  with known as (
    select distinct p.model from public.prices p where p.effective_from <= p_day and p.above_input_tokens = 0
  ), named as (
    select regexp_replace(p_model, '(-latest|[-@][0-9]{8})$', '') as alias
  )
  select k.model from known k, named n
  where k.model = p_model or k.model = n.alias
    or (p_model !~ '[-@][0-9]{8}$' and regexp_replace(k.model, '[-@][0-9]{8}$', '') = n.alias)
  order by k.model = p_model desc, k.model = n.alias desc, right(k.model, 8) desc, k.model limit 1
$$;

-- The price of a call: the largest prompt size that it is above, then the newest of that size in force.
create function public.price_of(p_model text, p_day date, p_input_tokens bigint) returns setof public.prices
language sql stable rows 1 set search_path = '' as $$
  select p.* from public.prices p
  where p.model = public.priced_as(p_model, p_day) and p.effective_from <= p_day
    and (p.above_input_tokens = 0 or p.above_input_tokens < p_input_tokens)
  order by p.above_input_tokens desc, p.effective_from desc limit 1
$$;

-- How often the table has changed: whoever calculated with it can tell whether it is still the same.
create function public.price_mark() returns bigint language sql stable set search_path = '' as $$
  select coalesce(max(id), 0) from public.price_changes
$$;

-- Adds a price or corrects it. Where it makes calls dearer, p_factor says by how much at most, and what the
-- items of jobs at that price reserve is raised with it: no budget rests on an old price. Nothing is done
-- when the table changed since it was looked at. The jobs' rows stay unlocked: an item in flight needs its
-- job's row after its own.
create function public.set_price(p_price jsonb, p_factor numeric, p_mark bigint, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_price public.prices;
  v_raised integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('prices', 0));
  if p_mark <> public.price_mark() then
    return jsonb_build_object('outcome', 'changed');
  end if;
  insert into public.prices as p (model, effective_from, above_input_tokens, input_usd, output_usd,
    cache_read_usd, cache_write_factor, cache_write_hour_factor, batch_factor, cache_min_tokens, source,
    changed_by)
  select n.model, n.effective_from, n.above_input_tokens, n.input_usd, n.output_usd, n.cache_read_usd,
    n.cache_write_factor, n.cache_write_hour_factor, n.batch_factor, n.cache_min_tokens,
    coalesce(n.source, ''), p_actor
  from jsonb_populate_record(null::public.prices, p_price) n
  on conflict (model, effective_from, above_input_tokens) do update set input_usd = excluded.input_usd,
    output_usd = excluded.output_usd, cache_read_usd = excluded.cache_read_usd,
    cache_write_factor = excluded.cache_write_factor,
    cache_write_hour_factor = excluded.cache_write_hour_factor, batch_factor = excluded.batch_factor,
    cache_min_tokens = excluded.cache_min_tokens, source = excluded.source, changed_by = excluded.changed_by
  returning * into v_price;
  if p_factor > 1 then
    update public.batch_items i set reserve_usd = ceil(i.reserve_usd * p_factor * 1000000) / 1000000
    from public.batch_jobs j
    where j.id = i.job_id and j.writer = 'claude' and j.status <> 'cancelled'
      and i.status in ('queued', 'processing', 'failed')
      and j.model in (select m.model from (select distinct o.model from public.batch_jobs o) m
        where public.priced_as(m.model, greatest(v_price.effective_from,
          (clock_timestamp() at time zone 'UTC')::date)) = v_price.model);
    get diagnostics v_raised = row_count;
  end if;
  return jsonb_build_object('outcome', 'ok', 'raised', v_raised);
end $$;

alter table public.price_changes enable row level security;
alter table public.price_changes force row level security;
revoke all on public.price_changes from anon, authenticated;
grant select, insert, update, delete on public.price_changes to service_role;
revoke execute on function public.note_price_change(), public.priced_as(text, date),
  public.price_of(text, date, bigint), public.price_mark(), public.set_price(jsonb, numeric, bigint, text) from public, anon, authenticated;
grant execute on function public.note_price_change(), public.priced_as(text, date),
  public.price_of(text, date, bigint), public.price_mark(), public.set_price(jsonb, numeric, bigint, text) to service_role;
