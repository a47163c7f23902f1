-- A persona, an arc or a topic is saved over what the editor saw, never over what somebody else has made of it since;
-- what is meant to be new is not saved over one that has its key.
create function public.save_scaffolding_as_seen(p_kind text, p_rows jsonb, p_seen jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_table text := case p_kind when 'persona' then 'personas' when 'arc' then 'emotional_arcs' else 'training_topics' end;
  v_other record;
begin
  perform pg_advisory_xact_lock(hashtextextended('scaffolding', 0)); -- a key that two make at once is one of them's
  execute format($q$
    with given as (select r ->> %1$L as key from jsonb_array_elements($1) r),
    seen as (select s ->> %1$L as key, s as held from jsonb_array_elements($2) s),
    there as (select t.%1$I as key, to_jsonb(t) as held from public.%2$I t join given on given.key = t.%1$I)
    select given.key, seen.key is null as is_taken from given
    left join seen on seen.key = given.key left join there on there.key = given.key
    where (seen.key is null) <> (there.key is null)
      or (select jsonb_object_agg(name, there.held -> name) from jsonb_object_keys(seen.held) name) <> seen.held
    order by given.key limit 1
  $q$, p_kind || '_key', v_table) into v_other using p_rows, p_seen;
  if v_other.key is not null then
    return jsonb_build_object('outcome', case when v_other.is_taken then 'taken' else 'changed' end, 'key', v_other.key);
  end if;
  return jsonb_build_object('outcome', 'saved', 'saved', public.save_scaffolding(p_kind, p_rows));
end $$;
revoke execute on function public.save_scaffolding_as_seen(text, jsonb, jsonb) from public, anon, authenticated;
grant execute on function public.save_scaffolding_as_seen(text, jsonb, jsonb) to authenticated, service_role;
