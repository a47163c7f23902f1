"""As many conversations as a benchmark asks for, put into a database by SQL as batches and reviews leave them."""

from __future__ import annotations

import json
from random import Random

import psycopg

MODELS = 1_000
"""Different texts; every conversation has one of them and its own number."""
TURNS, WORDS = 6, 50
BULK_TOPIC_SHARE = 5_000
RARE = "needle"
"""A word that one text in a hundred holds."""

FILL = """
insert into public.conversations (name, writer, model, tier, persona_key, arc_key, topic_key, parameters,
  system_text, turns, turn_count, word_count, first_words, status, quality_score, flags, cost_usd, created_at)
select 'Matter ' || n, case when n % 4 = 0 then 'claude' else 'demo' end,
  case when n % 4 = 0 then 'claude-sonnet-5-5' else 'demo' end, (array['template', 'scenario', 'edge_case'])[1 + n % 3],
  p.keys[1 + n % cardinality(p.keys)], a.keys[1 + n % cardinality(a.keys)],
  case when n <= %(bulk)s then t.keys[1] else t.keys[2 + n % (cardinality(t.keys) - 1)] end,
  jsonb_build_object('tier', 'template', 'variables', jsonb_build_object('matter', n::text)), 'You help.', m.turns,
  6, 300 + n %% 97, 'Matter ' || n, case when n <= %(bulk)s or n % 10 < 7 then 'pending_review'
    when n % 10 < 9 then 'approved' else 'rejected' end,
  (n * 37 %% 101) / 10.1, case when n % 5 = 0 then array['REPEATED_TURN'] else '{}' end, 0.02,
  now() - make_interval(secs => n)
from generate_series(1, %(size)s) n
join models m on m.number = n % %(models)s,
  (select array_agg(persona_key order by persona_key) as keys from public.personas) p,
  (select array_agg(arc_key order by arc_key) as keys from public.emotional_arcs) a,
  (select array_agg(topic_key order by topic_key) as keys from public.training_topics) t
"""


ASLEEP = (
    *("conversations_note_text", "conversations_note_new"),
    *("conversations_count_inserted", "conversations_decisions_inserted", "conversations_figures_inserted"),
)
"""Triggers whose work is done for all rows at once."""

KINDS = """
delete from public.conversation_kinds;
insert into public.conversation_kinds (status, writer, model, template_version_id, flags, backend, number)
select status, writer, model, template_version_id, flags, 0, count(*) from public.conversations group by 1, 2, 3, 4, 5;
delete from public.decision_kinds;
insert into public.decision_kinds
select template_version_id, persona_key, arc_key, topic_key, model, writer, status,
  case when status = 'rejected' then left(review_reason, 120) end, count(*), true from public.conversations group by 1, 2, 3, 4, 5, 6, 7, 8;
truncate private.figures, private.told_figures, private.figure_changes;
do $$ begin
  while not private.keep_figures() loop
  end loop;
end $$;
"""
"""What the triggers would have counted, had they not been asleep."""


def fill(dsn: str, size: int) -> str:
    """Put conversations in, prepared to be searched; returns the name of the topic of those for a bulk decision."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create unlogged table models (number integer primary key, turns jsonb, words tsvector)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into models select %s, t, public.words_of(t) from (select %s::jsonb as t) x",
                [(number, _turns(number)) for number in range(MODELS)],
            )
        # What the triggers would note row by row is put in at once: the rows end up the same.
        for trigger in ASLEEP:
            connection.execute(f"alter table public.conversations disable trigger {trigger}")
        connection.execute("drop index public.conversation_texts_words_idx")
        connection.execute(
            FILL.replace(" % ", " %% "),
            {"size": size, "models": MODELS, "bulk": min(BULK_TOPIC_SHARE, size // 2)},
        )
        connection.execute(
            "insert into public.conversation_texts (conversation_id, words) select c.id, m.words"
            " from public.conversations c join models m on m.number = substr(c.name, 8)::integer %% %s",
            [MODELS],
        )
        connection.execute(
            "create index conversation_texts_words_idx on public.conversation_texts using gin (words)"
        )
        for trigger in ASLEEP:
            connection.execute(f"alter table public.conversations enable trigger {trigger}")
        connection.execute("drop table models")
        connection.execute(KINDS)
        connection.execute("vacuum analyze public.conversations, public.conversation_texts")
        found = connection.execute(
            "select name from public.training_topics order by topic_key limit 1"
        ).fetchone()
    return str(found[0]) if found else ""


def _turns(number: int) -> str:
    chance = Random(number)
    vocabulary = [f"word{n}" for n in range(5_000)]
    turns = [
        {"role": ("user", "assistant")[place % 2], "content": " ".join(chance.choices(vocabulary, k=WORDS))}
        for place in range(TURNS)
    ]
    if number % 100 == 37:  # of an approved conversation
        turns[1]["content"] += f" {RARE}"
    return json.dumps(turns)
