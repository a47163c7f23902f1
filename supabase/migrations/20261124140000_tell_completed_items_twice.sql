-- Told twice, a completed item is completed and not late; an item costs what its attempts cost, once each.
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

  v_conversation := public.insert_conversation(v_item, v_job.writer, p_conversation);
  update public.batch_items set status = 'completed', conversation_id = v_conversation, token = null,
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
