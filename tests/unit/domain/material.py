"""Small conversations and prompts that tests bend one thing of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brightrun.domain.conversation import Emotion, Role, Turn
from brightrun.domain.dataset import Row
from brightrun.domain.enrichment import Record
from brightrun.domain.ids import ArcId, ConversationKey, ItemId, JobId
from brightrun.domain.quality import assess
from brightrun.domain.scenario import Cast, EmotionalArc, Scenario, Tier
from brightrun.domain.template import Prompt

PROMPT = Prompt("Write.", "Write about it.", "You help.", turns=4, words_min=8, words_max=30)
SCENARIO = Scenario(Tier.SCENARIO, variables={"scenario": "Renew three books at the library."})
CAST = Cast(SCENARIO, None, None, None)
TALK = (
    "I borrowed three novels from the library and they are due on Friday.",
    "Then we can renew all three novels today, so that Friday is no longer a worry for you.",
    "Somebody may have reserved the second volume, what happens to that one?",
    "A reserved volume has to come back, but the library keeps the other two for you until May.",
)


def turns(*texts: str, feelings: tuple[str, str] = ("worry", "relief")) -> list[Turn]:
    """Alternate user and assistant, the user's feeling moving from the first to the second."""
    given = texts or TALK
    return [
        Turn(
            Role.USER if place % 2 == 0 else Role.ASSISTANT,
            text,
            Emotion(feelings[0] if place == 0 else feelings[1], None, 0.6) if place % 2 == 0 else None,
        )
        for place, text in enumerate(given)
    ]


def arc(**changes: Any) -> EmotionalArc:
    made = EmotionalArc(
        id=ArcId("00000000-0000-4000-8000-000000000001"),
        arc_key="worry_to_relief",
        name="From worry to relief",
        category="core",
        tier=Tier.TEMPLATE,
        starting_emotion="worry",
        starting_intensity_min=0.5,
        starting_intensity_max=0.8,
        ending_emotion="relief",
        ending_intensity_min=0.2,
        ending_intensity_max=0.6,
        arc_strategy="",
        key_principles=(),
        characteristic_phrases=(),
        response_techniques=(),
        avoid_tactics=(),
        typical_turn_count_min=4,
        typical_turn_count_max=8,
    )
    return replace(made, **changes)


def record(*texts: str) -> Record:
    said = tuple(turns(*texts))
    return Record(
        key=ConversationKey("11111111-1111-4111-8111-111111111111"),
        item_id=ItemId("22222222-2222-4222-8222-222222222222"),
        job_id=JobId("33333333-3333-4333-8333-333333333333"),
        created_at="2026-11-23T10:00:00+00:00",
        cast=CAST,
        prompt=PROMPT,
        turns=said,
        assessment=assess(said, cast=CAST, prompt=PROMPT),
        writer="demo",
        model="demo",
        template_key="task_dialogue",
        template_version=1,
    )


def row(*texts: str, system: str = "", **changes: Any) -> Row:
    head = [{"role": "system", "content": system}] if system else []
    said = [{"role": t.role.value, "content": t.content} for t in turns(*texts)]
    made = Row(
        key=ConversationKey("11111111-1111-4111-8111-111111111111"),
        version=1,
        messages=head + said,
        writer="claude",
        model="claude-sonnet-5-5",
        persona_key=None,
        arc_key=None,
        topic_key=None,
        tier="scenario",
        variables={"scenario": "Renew three books."},
        quality_score=8.5,
        flags=(),
        decision="approved",
        reviewer="ana",
        reviewed_at="2026-11-23T11:00:00+00:00",
        reason=None,
        template="task_dialogue v1",
        job_id="33333333-3333-4333-8333-333333333333",
        split="train",
        created_at="2026-11-23T10:00:00+00:00",
    )
    return replace(made, **changes)
