-- A price of a slip of the hand can be removed: a model that does not exist, a day far ahead. Who did it stands in the history.

create or replace function public.note_price_change() returns trigger
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
      case when tg_op = 'DELETE' then coalesce(nullif(current_setting('brightrun.removed_by', true), ''), session_user)
        else new.changed_by end);
  end if;
  return null;
end $$;

-- Raises what the open items of jobs at a price reserve, by a factor. The jobs' rows stay unlocked: an item in flight
-- needs its job's row after its own.
create function public.raise_reserves(p_model text, p_from date, p_factor numeric) returns integer
language plpgsql set search_path = '' as $$
declare
  v_raised integer := 0;
begin
  if p_factor > 1 then
    update public.batch_items i set reserve_usd = ceil(i.reserve_usd * p_factor * 1000000) / 1000000
    from public.batch_jobs j
    where j.id = i.job_id and j.writer = 'claude' and j.status <> 'cancelled'
      and i.status in ('queued', 'processing', 'failed')
      and j.model in (select m.model from (select distinct o.model from public.batch_jobs o) m
        where public.priced_as(m.model, greatest(p_from, public.today())) = p_model);
    get diagnostics v_raised = row_count;
  end if;
  return v_raised;
end $$;

-- Removes a price; nothing is done when the table changed since it was looked at, nor while an open job has no other.
-- Where an older price that comes back makes calls dearer, p_factor says by how much at most, as in set_price.
create function public.remove_price(p_model text, p_from date, p_above integer, p_factor numeric, p_mark bigint, p_actor text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  v_jobs bigint := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('prices', 0));
  if p_mark <> public.price_mark() then
    return jsonb_build_object('outcome', 'changed');
  end if;
  if p_above = 0 and p_from <= public.today() and not exists (select 1 from public.prices p
    where p.model = p_model and p.above_input_tokens = 0 and p.effective_from <= public.today()
      and p.effective_from <> p_from) then
    select count(*) into v_jobs from public.batch_jobs j
    where j.writer = 'claude' and j.status in ('queued', 'processing', 'paused')
      and public.priced_as(j.model, public.today()) = p_model;
  end if;
  if v_jobs > 0 then
    return jsonb_build_object('outcome', 'in_use', 'jobs', v_jobs);
  end if;
  -- Before it goes: afterwards a model may be priced under another name.
  perform public.raise_reserves(p_model, p_from, p_factor);
  perform set_config('brightrun.removed_by', p_actor, true);
  delete from public.prices
  where model = p_model and effective_from = p_from and above_input_tokens = p_above;
  return jsonb_build_object('outcome', case when found then 'ok' else 'missing' end);
end $$;

create or replace function public.set_price(p_price jsonb, p_factor numeric, p_mark bigint, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_price public.prices;
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
  return jsonb_build_object('outcome', 'ok',
    'raised', public.raise_reserves(v_price.model, v_price.effective_from, p_factor));
end $$;

revoke execute on function public.raise_reserves(text, date, numeric),
  public.remove_price(text, date, integer, numeric, bigint, text) from public, anon, authenticated;
grant execute on function public.raise_reserves(text, date, numeric),
  public.remove_price(text, date, integer, numeric, bigint, text) to authenticated, service_role;
grant execute on function public.today() to authenticated;
