"""How feelings move through a conversation: from the arc's start to its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from brightrun.domain.scenario import EmotionalArc
from brightrun.writers.demo.phrases import Section, bank
from brightrun.writers.demo.voice import Voice

_HALF_WAY = {
    "confusion": "curiosity",
    "shame": "relief",
    "frustration": "patience",
    "fear": "caution",
    "overwhelm": "focus",
    "guilt": "reflection",
    "despair": "openness",
    "anger": "restraint",
    "panic": "attention",
    "anxiety": "caution",
    "grief": "tenderness",
    "doubt": "consideration",
}


@dataclass(frozen=True, slots=True)
class Feeling:
    """What one turn expresses."""

    primary: str
    secondary: str
    intensity: float

    def to_json(self) -> dict[str, object]:
        return {
            "primary_emotion": self.primary,
            "secondary_emotion": self.secondary,
            "intensity": self.intensity,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """The feelings at both ends, by name and by the section that voices them."""

    start: str
    end: str
    start_key: str
    end_key: str
    start_intensity: float
    end_intensity: float

    @property
    def start_section(self) -> Section:
        return bank("emotions")[self.start_key]

    @property
    def end_section(self) -> Section:
        return bank("emotions")[self.end_key]

    def user(self, turn: int, turns: int) -> Feeling:
        """Return what the user feels in their `turn`-th of `turns`, counted from 0."""
        share = turn / (turns - 1) if turns > 1 else 0.0
        intensity = round(self.start_intensity + share * (self.end_intensity - self.start_intensity), 2)
        if turn == 0:
            return Feeling(self.start, "hesitation" if self.start_key != "anger" else "tension", intensity)
        if share == 1:
            return Feeling(
                self.end, "gratitude" if self.end_key != "disappointment" else "resignation", intensity
            )
        half_way = _HALF_WAY.get(self.start_key, "attention")
        first, second = (self.start, half_way) if share < 0.45 else (half_way, self.end)
        return Feeling(first, second, intensity)

    def assistant(self, turn: int, turns: int) -> Feeling:
        """Return what the assistant's answer conveys; the last one rests where the arc ends."""
        if turn == turns - 1 and turns > 1:
            return Feeling(self.end, "warmth", self.end_intensity)
        if turn == 0:
            return Feeling("empathy", "calm", 0.6)
        return Feeling("calm", "encouragement", 0.55)


def course_of_arc(arc: EmotionalArc, voice: Voice) -> Course:
    """Return the course an arc asks for, its intensities drawn from the arc's own ranges."""
    return Course(
        start=_name(arc.starting_emotion, "concern"),
        end=_name(arc.ending_emotion, "calm"),
        start_key=_key(arc.starting_emotion, "open", "neutral"),
        end_key=_key(arc.ending_emotion, "close", "calm"),
        start_intensity=_within(voice, arc.starting_intensity_min, arc.starting_intensity_max),
        end_intensity=_within(voice, arc.ending_intensity_min, arc.ending_intensity_max),
    )


def course_without_arc(voice: Voice, *, mood: str = "", happy: bool = True) -> Course:
    """Return a quiet course for scenarios that name no arc: a mood if given, and how it ends."""
    start_key = _key(mood, "open", "neutral")
    end = "satisfaction" if happy else "disappointment"
    return Course(
        start="interest" if start_key == "neutral" else start_key,
        end=end,
        start_key=start_key,
        end_key=end,
        start_intensity=_within(voice, 0.35, 0.5) if start_key == "neutral" else _within(voice, 0.6, 0.8),
        end_intensity=_within(voice, 0.55, 0.75),
    )


def _within(voice: Voice, low: float, high: float) -> float:
    low, high = min(low, high), max(low, high)
    return min(max(round(voice.share(low, high), 2), low), high)


def _name(text: str, default: str) -> str:
    return re.sub(r"\s+", " ", text).strip().lower() or default


def _key(text: str, label: str, default: str) -> str:
    """Return the section that voices a feeling, through its synonyms; the default for unknown ones."""
    synonyms = bank("names")["emotions"].lines
    whole = re.sub(r"[^a-z]+", "_", text.lower()).strip("_")
    for word in (whole, *whole.split("_")):
        key = synonyms.get(word, [word])[0]
        section = bank("emotions").get(key)
        if section and section.get(label):
            return key
    return default
