-- An import of the wrong file is taken back whole, as long as nobody has used what it brought: decided on it, corrected
-- it, had it judged or written again, or frozen it. What is told is which files of it can go.
create function private.withdraw_import(p_import uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_import public.imports;
  v_used bigint;
  v_files jsonb;
begin
  if current_setting('role', true) = 'authenticated' then -- it runs as its owner, for people may delete no conversation
    perform private.require_role('author', 'withdraw imports');
  end if;
  select * into v_import from public.imports where id = p_import for update;
  if not found then
    return jsonb_build_object('outcome', 'missing');
  elsif v_import.status <> 'completed' then
    return jsonb_build_object('outcome', 'open');
  end if;
  perform from public.conversations where import_id = p_import order by id for update; -- nobody decides meanwhile
  select count(*) into v_used from public.conversations c
  where c.import_id = p_import and (c.status <> 'pending_review' or c.version > 1
    or exists (select from public.reviews r where r.conversation_id = c.id)
    or exists (select from public.verdicts v where v.conversation_id = c.id)
    or exists (select from public.dataset_rows d where d.conversation_id = c.id)
    or exists (select from public.batch_items i where i.parameters ? 'revision'
      and i.parameters #>> '{revision,parent_id}' = c.id::text)
    or exists (select from public.batch_items i where i.parameters ? 'judging'
      and i.parameters #>> '{judging,conversation_id}' = c.id::text));
  if v_used > 0 then
    return jsonb_build_object('outcome', 'used', 'used', v_used);
  end if;
  delete from public.conversation_texts_due
  where conversation_id in (select id from public.conversations where import_id = p_import);
  with gone as (
    delete from public.conversations where import_id = p_import returning raw_path, final_path, enriched_path
  )
  select coalesce(jsonb_agg(f.path), '[]') into v_files
  from gone cross join lateral (values (gone.raw_path), (gone.final_path), (gone.enriched_path)) f (path)
  where f.path is not null;
  delete from public.imports where id = p_import;
  return jsonb_build_object('outcome', 'withdrawn', 'files', v_files);
end $$;
create function public.withdraw_import(p_import uuid) returns jsonb
language sql set search_path = '' as $$
  select private.withdraw_import(p_import)
$$;
revoke execute on function private.withdraw_import(uuid), public.withdraw_import(uuid) from public, anon, authenticated;
grant execute on function private.withdraw_import(uuid), public.withdraw_import(uuid) to authenticated, service_role;
