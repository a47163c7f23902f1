-- What lists and grids read, and who may touch what.

create view public.batch_overview with (security_invoker = true) as
select j.*, c.queued, c.processing, c.completed, c.failed, c.cancelled, c.spent_usd, c.possible_usd,
  c.reserved_usd, c.pace_seconds * (c.queued + c.processing) as seconds_left,
  60 / nullif(c.pace_seconds, 0) as rate_per_minute
from public.batch_jobs j join public.batch_counts c on c.job_id = j.id;

create view public.item_rows with (security_invoker = true) as
select i.id, i.job_id, i.position, i.status, i.parameters, i.template_version_id, i.template_choice,
  i.attempts, i.conversation_id, i.error_code, i.error_message, i.next_attempt_at, i.cost_usd,
  extract(epoch from i.ended_at - i.claimed_at)::double precision as seconds,
  t.name as template_name, v.version as template_version, k.quality_score
from public.batch_items i
join public.template_versions v on v.id = i.template_version_id
join public.templates t on t.id = v.template_id
left join public.conversations k on k.id = i.conversation_id;

create view public.template_rows with (security_invoker = true) as
select t.*, v.id as version_id, v.system_text, v.user_text, v.dataset_system_text, v.required, v.optional,
  v.words_min, v.words_max, v.created_by as version_created_by, v.created_at as version_created_at
from public.templates t
join public.template_versions v on v.template_id = t.id and v.version = t.current_version;

create view public.conversation_rows with (security_invoker = true) as
select c.id, c.conversation_id, c.name, c.status, c.quality_score, c.writer, c.model, c.tier, c.persona_key,
  c.arc_key, c.topic_key, c.turn_count, c.word_count, c.first_words, c.flags, c.has_blockers,
  c.enrichment_status, c.job_id, c.row_version, c.version, c.reviewed_by, c.reviewed_at, c.review_reason,
  c.cost_usd, c.created_at, t.name as template_name, v.version as template_version
from public.conversations c
left join public.template_versions v on v.id = c.template_version_id
left join public.templates t on t.id = v.template_id;

create view public.dataset_contents with (security_invoker = true) as
select r.dataset_id, r.position, r.split, r.version, c.id, c.conversation_id, c.name, c.writer, c.model,
  c.tier, c.persona_key, c.arc_key, c.topic_key, c.parameters, c.system_text, c.turns, r.quality_score,
  r.flags, 'approved'::text as status, r.reviewed_by, r.reviewed_at, r.review_reason, c.job_id, c.created_at,
  t.template_key, v.version as template_version
from public.dataset_rows r
join public.conversations c on c.id = r.conversation_id
left join public.template_versions v on v.id = c.template_version_id
left join public.templates t on t.id = v.template_id;

-- Row Level Security on and forced everywhere; without a policy, nobody but a bypassing role sees a row.
do $$
declare
  v_table text;
begin
  for v_table in select tablename from pg_tables where schemaname = 'public' loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
    execute format('revoke all on public.%I from anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
  end loop;
end $$;

revoke all on public.batch_overview, public.item_rows, public.template_rows, public.conversation_rows,
  public.dataset_contents from anon, authenticated;
grant select on public.batch_overview, public.item_rows, public.template_rows, public.conversation_rows,
  public.dataset_contents to service_role;
grant usage on schema public to service_role;
revoke execute on all functions in schema public from public, anon, authenticated;
grant execute on all functions in schema public to service_role;

-- Only the app's server, with the secret key, reads or writes files: both buckets are private.
insert into storage.buckets (id, name, public, file_size_limit)
values ('conversation-files', 'conversation-files', false, 52428800),
  ('batch-logs', 'batch-logs', false, 52428800)
on conflict (id) do nothing;
