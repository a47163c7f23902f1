-- Conversations that were written again after a reviewer's feedback know their parent: it stands, with the
-- note and the text that was read, among the parameters they were written from. This finds the way back.

create index batch_items_parent_idx on public.batch_items ((parameters #>> '{revision,parent_id}'))
  where parameters ? 'revision';
create index conversations_parent_idx on public.conversations ((parameters #>> '{revision,parent_id}'))
  where parameters ? 'revision';

-- What was ordered again because of a conversation: each with how far its item is, and what it became.
create view public.revision_rows with (security_invoker = true) as
select i.parameters #>> '{revision,parent_id}' as parent_id, i.parameters #>> '{revision,note}' as note,
  i.id as item_id, i.job_id, i.status as item_status, c.id as conversation_id, c.status, c.quality_score,
  coalesce(c.created_at, j.created_at) as created_at
from public.batch_items i
join public.batch_jobs j on j.id = i.job_id
left join public.conversations c on c.item_id = i.id
where i.parameters ? 'revision'
union all -- whose batch is gone
select c.parameters #>> '{revision,parent_id}', c.parameters #>> '{revision,note}', null, c.job_id, 'completed',
  c.id, c.status, c.quality_score, c.created_at
from public.conversations c
where c.parameters ? 'revision' and c.item_id is null;
revoke all on public.revision_rows from public, anon, authenticated;
grant select on public.revision_rows to service_role;
