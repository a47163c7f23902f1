"""Scenarios and orders for tests of the writers."""

from __future__ import annotations

from collections.abc import Mapping

from brightrun.domain.ids import ArcId, PersonaId, TopicId
from brightrun.domain.scenario import Cast, EmotionalArc, Persona, Scenario, Tier, Topic
from brightrun.domain.template import Prompt
from brightrun.domain.writing import Order

NOBODY = "00000000-0000-0000-0000-000000000001"

CORE_ARCS = (
    ("confusion_to_clarity", "confusion", "clarity", "normalize, then educate"),
    ("shame_to_acceptance", "shame", "acceptance", "normalize strongly, then future focus"),
    ("couple_conflict_to_alignment", "frustration", "clarity", "validate both, third way"),
    ("fear_to_confidence", "fear", "confidence", "reality-test, build agency"),
    ("overwhelm_to_empowerment", "overwhelm", "empowerment", "simplify, prioritize, act"),
    ("guilt_to_permission", "guilt", "permission", "reframe the trade-off"),
    ("frustration_to_relief", "frustration", "relief", "validate, simplify"),
)
EDGE_ARCS = (
    ("crisis_to_referral", "despair", "referred", "detect crisis, refer, give no financial advice"),
    ("hostility_to_boundary", "anger", "acceptance", "stay calm, set limits"),
    ("overwhelm_to_triage", "panic", "focused", "one urgent step"),
)
CATEGORIES = (
    *("retirement", "investment", "insurance", "education", "debt", "cash_flow", "tax", "estate", "family"),
    *("career", "organization", "relationships", "a category nobody foresaw"),
)


def order(
    *,
    persona: Persona | None = None,
    arc: EmotionalArc | None = None,
    topic: Topic | None = None,
    variables: Mapping[str, str] | None = None,
    turns: int = 8,
    words: tuple[int, int] = (60, 150),
    seed: int = 1,
    user: str = "Write exactly 8 turns.",
    model: str = "claude-sonnet-5-5",
    max_tokens: int = 16_000,
) -> Order:
    """Return an order; what is not given is ordinary."""
    scenario = Scenario(
        Tier.TEMPLATE,
        persona.persona_key if persona else None,
        arc.arc_key if arc else None,
        topic.topic_key if topic else None,
        variables or {},
    )
    prompt = Prompt("You write dialogues for training.", user, "", turns, *words)
    return Order(prompt, Cast(scenario, persona, arc, topic), model, max_tokens, seed)


def persona(name: str = "Ada Byron", occupation: str = "Engineer", style: str = "hesitant") -> Persona:
    return Persona(
        id=PersonaId(NOBODY),
        persona_key=name.lower().replace(" ", "_"),
        name=name,
        archetype="The Careful One",
        age_range="35-40",
        occupation=occupation,
        income_range="60-80k",
        demographics={},
        financial_background="",
        financial_situation="",
        communication_style=style,
        emotional_baseline="",
        typical_questions=("Am I too late?",),
        common_concerns=("being judged", "missing something important", "Will it ever end?"),
        language_patterns=("I know I should have asked earlier", "This may sound odd, but...", "dry humor"),
    )


def arc(key: str, start: str, end: str, strategy: str, category: str = "core") -> EmotionalArc:
    return EmotionalArc(
        id=ArcId(NOBODY),
        arc_key=key,
        name=key,
        category=category,
        tier=Tier.TEMPLATE,
        starting_emotion=start,
        starting_intensity_min=0.75,
        starting_intensity_max=0.9,
        ending_emotion=end,
        ending_intensity_min=0.35,
        ending_intensity_max=0.5,
        arc_strategy=strategy,
        key_principles=(),
        characteristic_phrases=("Let us look at one honest number.", "Using [topic] as a mirror..."),
        response_techniques=(),
        avoid_tactics=(),
        typical_turn_count_min=6,
        typical_turn_count_max=12,
    )


def topic(category: str = "retirement", key: str = "") -> Topic:
    key = key or f"a_topic_of_{category}".replace(" ", "_")
    return Topic(
        id=TopicId(NOBODY),
        topic_key=key,
        name=key.replace("_", " ").title(),
        category=category,
        description="",
        complexity_level="advanced",
        typical_question_examples=("Should I change everything at once?", "Is there a limit to this?"),
        key_concepts=("Pro-rata rule", "Tax brackets", "Five-year rule"),
    )
