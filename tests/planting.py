"""Conversations put straight into a database, where how they were written does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from brightrun.domain.ids import ConversationId
from brightrun.domain.review import Seen

INSERT = """
insert into public.conversations (name, writer, model, tier, persona_key, arc_key, topic_key, parameters, turns,
  turn_count, quality_score, created_at)
select 'planted', coalesce(r ->> 'writer', 'demo'), coalesce(r ->> 'model', 'demo'), 'scenario', r ->> 'persona',
  r ->> 'arc', r ->> 'topic', '{}', '[]', 0, coalesce((r ->> 'score')::numeric, 5),
  coalesce((r ->> 'at')::timestamptz, %(at)s::timestamptz + n * interval '1 millisecond')
from jsonb_array_elements(%(rows)s::jsonb) with ordinality as x(r, n) order by n
returning id
"""


FILL = """
select setseed(0.25);
create temporary table plan as
select n, gen_random_uuid() as item, gen_random_uuid() as conversation, (n - 1) / %(job)s as number,
  md5('job ' || (n - 1) / %(job)s)::uuid as job, random() < 0.04 as is_failed, random() < 0.15 as is_waiting,
  random() as draw, random() + random() - 1 as noise, random() as luck, mix, mix / 4 %% 4 as p, mix / 16 %% 8 as a,
  mix / 128 as t, md5('bulk ' || n / 40)::uuid as sweep, n / 40 %% 6 = 0 as is_swept,
  '2026-06-01'::timestamptz + n / 400 * interval '1 day' + n * interval '8 seconds'
    + random() * interval '6 seconds' as moment
from (select n, floor(random() * random() * 4096)::integer as mix from generate_series(1, %(size)s) n) s;
create temporary table planned as
select plan.*, draw < 0.1 + case when p = 0 and a = 0 then 0.5 else 0 end + number %% 4 * 0.06 as is_bad,
  (array['ana', 'ana', 'ana', 'bo', 'bo', 'cy'])[1 + n / 30 %% 6] as reviewer,
  case when number %% 5 = 4 then 'demo' else 'claude' end as writer,
  (array['claude-sonnet-5-5', 'claude-haiku-5-5', 'claude-sonnet-5-5', 'claude-opus-5-5', 'demo'])[1 + number %% 5]
    as model,
  (select array_agg(persona_key order by persona_key) from personas)[1 + p] as persona,
  (select array_agg(arc_key order by arc_key) from emotional_arcs)[1 + a] as arc,
  (select array_agg(topic_key order by topic_key) from training_topics)[1 + t] as topic,
  versions[1 + n %% array_length(versions, 1)] as version
from plan cross join (select array_agg(v.id order by t.template_key, v.version) as versions
  from template_versions v join templates t on t.id = v.template_id) v;
alter table planned add column status text, add column decided text;
update planned set decided = case when not is_bad then 'approved' when luck < 0.8 then 'rejected'
  else 'needs_revision' end;
update planned set status = case when is_waiting then 'pending_review' else decided end;
insert into batch_jobs (id, name, template_id, writer, model, max_tokens, total_items, created_by, created_at)
select job, 'Money talks ' || number + 1, '00000000-0000-0000-0000-000000000000', writer, model, 8000, count(*),
  'ana', min(moment) from planned group by job, number, writer, model;
begin;
set constraints all deferred;
insert into batch_items (id, job_id, position, status, parameters, fingerprint, template_version_id,
  conversation_id, attempts)
select item, job, row_number() over (partition by job order by n), case when is_failed then 'failed'
    else 'completed' end, jsonb_build_object('persona_key', persona, 'arc_key', arc, 'topic_key', topic),
  md5(n::text), version, case when not is_failed then conversation end, 1 from planned;
insert into attempts (item_id, job_id, number, token, model, outcome, cost_usd, request)
select item, job, k, gen_random_uuid(), model, case when is_failed then 'failed' else 'stored' end,
  case model when 'demo' then 0 when 'claude-haiku-5-5' then 0.0006 when 'claude-sonnet-5-5' then 0.012 else 0.024 end
    * (0.8 + luck / 2), jsonb_build_object('system', repeat('You help people with their money. ', 20))
from planned, generate_series(1, case when noise > 0.7 then 2 else 1 end) k;
insert into conversations (id, item_id, job_id, template_version_id, name, writer, model, tier, persona_key, arc_key,
  topic_key, parameters, system_text, turns, turn_count, status, quality_score, quality, first_words, reviewed_by,
  review_reason, created_at)
select conversation, item, job, version, 'Matter ' || n, writer, model, 'template', persona, arc,
  topic, jsonb_build_object('persona_key', persona, 'variables', jsonb_build_object('note', repeat('note ', 40))),
  repeat('You help people with their money. ', 20),
  jsonb_build_array(jsonb_build_object('role', 'user', 'content', (select string_agg('word' || n * k %% 5000, ' ')
    from generate_series(1, 60) k)), jsonb_build_object('role', 'assistant', 'content', 'Let us look.')), 2, status,
  round(least(10, greatest(0, 7.1 + 2 * noise + case when is_bad then -0.8 else 0.7 end))::numeric, 1),
  jsonb_build_object('parts', jsonb_build_array(repeat('part ', 60))), 'I have a question about',
  case when not is_waiting then reviewer end, case when not is_waiting and decided = 'rejected' then
    (array['Emotional arc not followed', 'Repetitive', 'Unnatural voice', 'Repetitive', 'Too short or too long',
      'Unsafe', 'Emotional arc not followed'])[1 + (n + p * 3) %% 7] end, moment
from planned where not is_failed;
commit;
insert into reviews (conversation_id, version, decision, previous_status, reviewer, operation_id, created_at)
select conversation, 1, decided, 'pending_review', reviewer, case when is_swept then sweep else gen_random_uuid() end,
  moment + interval '1 day' from planned where not is_failed and not is_waiting;
insert into reviews (conversation_id, version, decision, previous_status, reviewer, operation_id, created_at)
select conversation, 1, case when luck < 0.82 then decided else 'rejected' end, decided, 'dee', gen_random_uuid(),
  moment + interval '9 days' from planned where not is_failed and not is_waiting and not is_swept and n %% 9 = 0;
insert into reviews (conversation_id, version, decision, previous_status, reviewer, operation_id, undoes, created_at)
select conversation_id, version, previous_status, decision, reviewer, gen_random_uuid(), operation_id,
  created_at + interval '1 minute' from reviews where reviewer = 'dee' and conversation_id::text < '2';
vacuum analyze
"""
"""Batches of four writers and models, decided on by three people, some rows by a fourth, one in six in a sweep; one
pair of persona and arc is bad, later batches are worse, and the combinations are unevenly covered."""


def fill(dsn: str, size: int, *, job: int = 1000) -> None:
    """Plan `size` items in jobs of `job`, with what became of them: by SQL alone, so that many take little time."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (FILL % {"size": size, "job": job}).split(";\n"):
            connection.execute(statement)  # type: ignore[arg-type]


def plant(dsn: str, rows: Sequence[Mapping[str, Any]]) -> list[Seen]:
    """Insert one conversation for each row (writer, model, persona, arc, topic, score, at); returns them in order."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        values = {"rows": psycopg.types.json.Jsonb(list(rows)), "at": datetime(2026, 1, 1, tzinfo=UTC)}
        return [Seen(ConversationId(str(r[0])), 1) for r in connection.execute(INSERT, values)]
