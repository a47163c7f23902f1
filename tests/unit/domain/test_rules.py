"""Every named rule: one conversation that trips it, one near miss that does not, and what it says of people."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from brightrun.domain.conversation import Emotion, Role, Turn
from brightrun.domain.examination import examine
from brightrun.domain.ids import PersonaId
from brightrun.domain.rules import MARKS, RULES, Severity
from brightrun.domain.scenario import Cast, Persona
from brightrun.domain.standard import STANDARD, Standard
from tests.unit.domain.material import PROMPT, SCENARIO, TALK, arc, turns

ANSWER = "It is the café by the window, where the novels about the sea are."
LONG = " ".join(["word"] * 60) + "."
PERSONA = Persona(
    id=PersonaId("00000000-0000-4000-8000-000000000002"),
    persona_key="reader",
    name="Ana Lopez",
    archetype="The reader",
    age_range="35-40",
    occupation="",
    income_range="",
    demographics={},
    financial_background="",
    financial_situation="",
    communication_style="",
    emotional_baseline="",
    typical_questions=(),
    common_concerns=(),
    language_patterns=(),
)
ARC = arc(avoid_tactics=("saying do not worry", "taking a side"))
FULL = Cast(SCENARIO, PERSONA, ARC, None)


def says(place: int, text: str) -> list[Turn]:
    said = turns()
    said[place] = replace(said[place], content=text)
    return said


def feels(place: int, feeling: str, intensity: float) -> list[Turn]:
    said = turns()
    said[place] = replace(said[place], emotion=Emotion(feeling, None, intensity))
    return said


def skipped(*places: int) -> list[Turn]:
    return [replace(turn, train=place not in places) for place, turn in enumerate(turns())]


CASES: dict[str, tuple[Sequence[Turn], Sequence[Turn]]] = {
    "INSUFFICIENT_TURNS": (turns()[:1], turns()[:2]),
    "STARTS_WITH_ASSISTANT": (turns()[1:], turns()),
    "ENDS_WITH_USER": (turns()[:3], turns()[:2]),
    "ROLE_NOT_ALTERNATING": ([turns()[0], *turns()], turns()),
    "NOTHING_TRAINED": (skipped(1, 3), skipped(1)),
    "MISSING_CONTENT": (says(1, " \n"), says(1, "No.")),
    "TRUNCATED_TURN": (says(0, "I was about to say \\"), says(0, "It lies in C:\\books, I believe.")),
    "CONTROL_TOKEN": (says(1, f"{ANSWER} <|im_end|>"), says(1, f"{ANSWER} <end> and |im_end|.")),
    "PLACEHOLDER": (says(1, f"Dear [CLIENT NAME], {ANSWER}"), says(1, f"{ANSWER} [laughs] {{a}} [1]")),
    "TURN_COUNT": (turns()[:2], turns()),
    "SEEMS_CUT": (says(1, "The library keeps the other two because the"), says(1, "Great thanks, bye,")),
    "BROKEN_CHARACTER": (says(1, "It is the caf\ufffd by the window."), says(1, ANSWER)),
    "SPEAKS_FOR_BOTH": (
        says(1, "You may renew it.\nUser: May I?\nAssistant: As often as you like, with the card."),
        says(1, "You may renew it. Note to the user: as often as you like, with the card."),
    ),
    "SPEAKER_LABEL": (says(1, f"Assistant: {ANSWER}"), says(1, f"The assistant at the desk: {ANSWER}")),
    "OUT_OF_ROLE": (
        says(1, "As an AI language model I cannot renew novels for you, but the desk can."),
        says(1, "As an AI engineer you will like the novels by the window, I believe."),
    ),
    "PERSONAL_DATA": (
        says(0, "Write to ana.lopez@mailbox.org or call 415-867-5309."),
        says(0, "Write to ana@example.com or call 415-555-0134, order 4111 1111 1111 1112."),
    ),
    "SHORT_TURN": (says(1, "Yes, sure."), says(1, "Yes, sure, you can.")),
    "LONG_TURN": (says(1, LONG), says(1, " ".join(["word"] * 48) + ".")),
    "LONG_CONVERSATION": (says(0, "word " * 3_000), says(0, "word " * 2_900)),
    "REPEATED_TURN": (says(3, TALK[1]), [*turns(), *turns("Thank you and goodbye.", "Goodbye.", "Thank you and goodbye.", "Goodbye.")]),
    "REPEATED_SENTENCE": (
        says(3, "Yes. Then we can renew all three novels today, so that Friday is no longer a worry for you."),
        says(3, "Yes. Then we can renew them. A reserved volume has to come back before the end of May."),
    ),
    "LOOPING": (says(1, "You can renew. You can renew. You can renew!"), says(1, "You can renew. You can renew. Today!")) ,
    "SAME_OPENING": (
        says(3, "Then we can renew something else, which is the atlas of the sea."),
        says(3, "Then we renew something else, which is the atlas of the sea."),
    ),
    "WRONG_NAME": (says(0, "My name is Marcus, and three novels are due."), says(0, "My name is Ana, and Marcus has my novels.")),
    "WRONG_AGE": (says(0, "I'm 52, and three novels are due."), says(0, "I'm 39, and I was 12 when I read 52 of them.")),
    "START_INTENSITY": (feels(0, "worry", 0.2), feels(0, "worry", 0.36)),
    "END_INTENSITY": (feels(2, "relief", 0.9), feels(2, "relief", 0.7)),
    "ARC_STANDS_STILL": (turns(feelings=("worry", "worried")), turns(feelings=("worry", "relief"))),
    "FORBIDDEN_PHRASE": (says(1, "Please don't worry, we can renew all three."), says(1, "Friday is no longer a worry for you now.")),
    "NO_FINAL_PUNCTUATION": (says(1, "It ends like this"), says(0, "I type like this")),
    "START_EMOTION": (feels(0, "boredom", 0.6), feels(0, "worried", 0.6)),
    "END_EMOTION": (feels(2, "boredom", 0.6), feels(2, "relieved", 0.5)),
}  # fmt: skip


def codes(said: Sequence[Turn], standard: Standard = STANDARD) -> set[str]:
    return {finding.code for finding in examine(said, cast=FULL, prompt=PROMPT, standard=standard)}


@pytest.mark.parametrize("code", CASES)
def test_a_rule_sees_what_it_is_for_and_lets_the_near_miss_pass(code: str) -> None:
    """Whoever reads a finding can believe it: what only looks like the fault is not reported."""
    trips, near_miss = CASES[code]
    assert code in codes(trips)
    assert code not in codes(near_miss)
    assert code not in codes(turns())


def test_every_rule_is_in_the_table_and_says_why_it_is_there() -> None:
    """No rule is without its example, and none without its reason."""
    assert set(CASES) == set(RULES) - set(MARKS)
    assert all(rule.reason.endswith(".") and rule.code == code for code, rule in RULES.items())


def test_a_finding_is_as_severe_as_its_rule_and_names_its_turn() -> None:
    """What a row shows is what the rule says, in the turn it was found in."""
    for code, (trips, _) in CASES.items():
        seen = next(f for f in examine(trips, cast=FULL, prompt=PROMPT) if f.code == code)
        assert seen.severity is RULES[code].severity
        assert seen.turn is None or 1 <= seen.turn <= len(trips)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("My number is 078-05-1120.", "a social security number"),
        ("It is 4111 1111 1111 1111.", "a card number"),
        ("Pay to DE89 3704 0044 0532 0130 00.", "an account number (IBAN)"),
        ("Call +4915112345678 tonight.", "a telephone number"),
        ("Call (415) 867-5309 tonight.", "a telephone number"),
        ("My number is 000-05-1120.", ""),
        ("It is 4111 1111 1111 1112.", ""),
        ("Pay to DE89 3704 0044 0532 0130 01.", ""),
        ("It was 2024-05-01 12:30:45, order 9931939443153.", ""),
        ("The loan is $250,000 at 3.875 percent over 360 months.", ""),
        ("Write to desk@library.example or me@test.", ""),
    ],
)
def test_personal_data_is_told_by_form_and_check_digits(text: str, kind: str) -> None:
    """A number whose check digits are wrong is nobody's, and addresses kept for examples are nobody's."""
    seen = [f.message for f in examine(says(0, text), cast=FULL, prompt=None) if f.code == "PERSONAL_DATA"]
    assert [kind in message for message in seen] == ([True] if kind else [])


def test_a_moved_line_moves_the_finding() -> None:
    """A threshold that an installation sets is the one its conversations are held to."""
    said = says(1, "Yes, sure, you can.")
    assert "SHORT_TURN" not in codes(said)
    assert "SHORT_TURN" in codes(said, Standard(min_words_share=0.9))


@pytest.mark.parametrize(
    "values", [{"min_words_share": 1.2}, {"likeness": 0}, {"judge_floor": 5}, {"most_words": 0}]
)
def test_a_line_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    """A slip in a setting is heard of at the start, not in a thousand scores."""
    with pytest.raises(ValueError, match=next(iter(values))):
        Standard(**values)  # type: ignore[arg-type]


@pytest.mark.shared
def test_rules_do_not_cry_wolf_over_people(shared_data: Path) -> None:
    """Of a thousand conversations people had, none is blocked, and only real repetition is reported often."""
    alarms: Counter[str] = Counter()
    with gzip.open(shared_data / "star_conversations.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            messages = json.loads(line)["messages"]
            said = [Turn(Role(m["role"]), m["content"]) for m in messages if m["role"] != "system"]
            cast = Cast(SCENARIO, None, None, None)
            alarms.update({f.code for f in examine(said, cast=cast, prompt=None)})
    assert not [code for code in alarms if RULES[code].severity is Severity.BLOCKER]
    told = {"REPEATED_TURN", "REPEATED_SENTENCE", "SAME_OPENING", "NO_FINAL_PUNCTUATION"}  # and they do
    assert {code: times for code, times in alarms.items() if code not in told and times > 10} == {}
