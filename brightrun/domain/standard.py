"""What a conversation is held against: weights and thresholds, each a setting of the installation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts in the score; only their proportions matter."""

    structure: float = 0.30
    length: float = 0.25
    turns: float = 0.20
    coherence: float = 0.15
    arc: float = 0.10

    def __post_init__(self) -> None:
        values = asdict(self).values()
        if min(values) < 0 or not sum(values):
            raise ValueError("Weights are not negative, and one of them is more than nothing.")


@dataclass(frozen=True, slots=True)
class Standard:
    """Where rules and score draw their lines."""

    weights: Weights = Weights()
    min_words_share: float = 0.5
    """An assistant turn below this share of the fewest words asked for is called short."""
    max_words_share: float = 1.6
    """Above this multiple of the most words asked for it is called long."""
    most_words: int = 3_000
    """A conversation of more words is longer than the 4,096 tokens that trainers keep by default."""
    intensity_slack: float = 0.15
    """How far outside the arc's own range an intensity may lie."""
    age_slack: int = 1
    """Years by which an age that is said may lie outside the persona's range."""
    most_repeats: int = 2
    """A sentence that one turn says more often is a loop."""
    sentence_words: int = 6
    """A sentence of so many words is not said twice by accident."""
    fresh_pairs: float = 0.95
    """Share of new word pairs that counts as full variety: what people reach in short conversations."""
    taken_up: float = 0.30
    """Share of the user's longer words that a full answer takes up."""
    blocked_ceiling: float = 4.0
    """A conversation with a blocker never scores above this."""
    likeness: float = 0.8
    """Two conversations that share this much of their word five-shingles (Jaccard) are nearly the same."""
    judge_floor: int = 2
    """A verdict of this or less in any dimension flags the conversation."""

    def __post_init__(self) -> None:
        for name in ("min_words_share", "intensity_slack", "fresh_pairs", "taken_up", "likeness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies between 0 and 1.")
        for name in ("fresh_pairs", "taken_up", "likeness"):
            if not getattr(self, name):
                raise ValueError(f"{name} is more than 0.")
        if self.max_words_share < 1 or not 0 <= self.blocked_ceiling <= 10 or not 1 <= self.judge_floor <= 4:
            raise ValueError("max_words_share is 1 or more, blocked_ceiling 0 to 10, judge_floor 1 to 4.")
        if min(self.most_words, self.most_repeats, self.sentence_words) < 1 or self.age_slack < 0:
            raise ValueError(
                "most_words, most_repeats and sentence_words are 1 or more, age_slack 0 or more."
            )

    def lines(self) -> list[tuple[str, str]]:
        """Return every weight and threshold by the name its setting has."""
        own = [(f.name, f"{getattr(self, f.name):g}") for f in fields(self) if f.name != "weights"]
        return [(f"weights__{name}", f"{value:g}") for name, value in asdict(self.weights).items()] + own


STANDARD = Standard()
"""The lines as they are drawn where nobody set them."""
