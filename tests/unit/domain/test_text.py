"""Text as rules, the database and trainers see it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from brightrun.domain.text import clean, words


@given(st.text(alphabet="ab .,—“”…'\n\t\u00a0\u2028éİ$-_", max_size=40))
@example("“Well…” she said—quietly")
def test_curly_quotes_part_words_as_straight_ones_do(text: str) -> None:
    """A text is counted in the same words whether its quotes and dashes are typographic or plain."""
    plain = text.translate(str.maketrans({"“": '"', "”": '"', "…": ".", "—": "|"}))
    assert words(text) == words(plain)
    marks = set('.,"|—“”…_')
    assert words(text) == "".join(" " if c in marks else c for c in text.lower()).split()


@given(st.text())
def test_cleaned_text_can_be_sent_to_the_database(text: str) -> None:
    """Whatever a model writes, what is kept of it can be encoded and holds no NUL."""
    assert b"\0" not in clean(text).encode()
