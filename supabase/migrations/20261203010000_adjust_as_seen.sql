-- The rest of a preview is planned from the items as somebody saw them: what another person has adjusted since is not
-- written over without a word.
create function public.adjust_rest_as_seen(p_job uuid, p_items jsonb, p_seen jsonb, p_estimate jsonb, p_mark bigint,
  p_actor text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('prices', 0)); -- before the job's row, as adjust_rest does
  perform from public.batch_jobs where id = p_job for no key update;
  if exists (
    select from jsonb_to_recordset(p_seen) as s(position integer, parameters jsonb, template_version_id uuid)
    join public.batch_items i on i.job_id = p_job and i.position = s.position and i.status = 'queued'
    where i.parameters <> s.parameters or i.template_version_id <> s.template_version_id
  ) then
    return jsonb_build_object('outcome', 'changed');
  end if;
  return public.adjust_rest(p_job, p_items, p_estimate, p_mark, p_actor);
end $$;
revoke execute on function public.adjust_rest_as_seen(uuid, jsonb, jsonb, jsonb, bigint, text)
  from public, anon, authenticated;
grant execute on function public.adjust_rest_as_seen(uuid, jsonb, jsonb, jsonb, bigint, text)
  to authenticated, service_role;
