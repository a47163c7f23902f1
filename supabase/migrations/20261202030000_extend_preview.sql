-- Two who look at the same end of a preview and both ask for one more get one more, not two: each says which end it is.
create function public.extend_preview(p_job uuid, p_seen integer, p_more integer, p_actor text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_preview integer;
begin
  select preview into v_preview from public.batch_jobs where id = p_job for no key update;
  if v_preview <> p_seen then
    return jsonb_build_object('outcome', 'extended', 'job', public.job_view(p_job));
  end if;
  return public.start_rest(p_job, p_more, p_actor);
end $$;

revoke execute on function public.extend_preview(uuid, integer, integer, text) from public, anon, authenticated;
grant execute on function public.extend_preview(uuid, integer, integer, text) to authenticated, service_role;
