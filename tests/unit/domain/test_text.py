"""Text as rules, the database and trainers see it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brightrun.domain.text import clean, file_stem, is_blank, shortened, terminal_safe, words
from brightrun.ui.difference import shown
from brightrun.ui.text import plain
from brightrun.writers.demo.wording import clean as spoken


@given(st.text(alphabet="ab .,—“”…'\n\t\u00a0\u2028éİ$-_", max_size=40))
@example("“Well…” she said—quietly")
def test_curly_quotes_part_words_as_straight_ones_do(text: str) -> None:
    """A text is counted in the same words whether its quotes and dashes are typographic or plain."""
    plain = text.translate(str.maketrans({"“": '"', "”": '"', "…": ".", "—": "|"}))
    assert words(text) == words(plain)
    marks = set('.,"|—“”…_')
    assert words(text) == "".join(" " if c in marks else c for c in text.lower()).split()


@pytest.mark.parametrize(
    ("text", "blank"), [("", True), (" \u200b\u2060\ufeff\n", True), ("a\u200b", False), ("0", False)]
)
def test_what_shows_nothing_is_blank(text: str, blank: bool) -> None:
    """A scenario of signs that cannot be seen is told from one that says something."""
    assert is_blank(text) is blank


@given(st.text())
def test_cleaned_text_can_be_sent_to_the_database(text: str) -> None:
    """Whatever a model writes, what is kept of it can be encoded and holds no NUL."""
    assert b"\0" not in clean(text).encode()


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
ASTRONAUT = "\U0001f469\U0001f3fd\u200d\U0001f680"
JOINED = (FAMILY, ASTRONAUT, "\U0001f9d8\u200d\u2640\ufe0f", "\u2764\ufe0f\u200d\U0001f525")


@pytest.mark.parametrize("emoji", JOINED)
def test_a_joined_emoji_stays_one_in_the_shell_and_on_a_page(emoji: str) -> None:
    """A name with a family or an astronaut in it looks the same wherever it is shown, and in what the demo says."""
    name = f"Trip of {emoji} on Monday"
    assert terminal_safe(name) == plain(name) == shown(name) == spoken(name) == name


def test_what_shows_nothing_hides_behind_no_emoji() -> None:
    """Escapes, changes of direction and joiners that join no emoji are as harmless beside a joined emoji as elsewhere."""
    name = f"\x1b[2J{FAMILY}\u202e\u200b{FAMILY}"
    assert terminal_safe(name) == f"\ufffd[2J{FAMILY}\ufffd\ufffd{FAMILY}"
    assert plain(name) == f"[2J{FAMILY} {FAMILY}"
    assert plain(f"a\u200db {FAMILY}\u200d c") == f"a b {FAMILY} c"
    assert shown("a\u200db") == "a⟨U+200D⟩b"
    assert spoken("a\u200db") == "a b"


@given(st.lists(st.sampled_from(["a", " ", *JOINED]), max_size=30).map("".join), st.integers(2, 20))
def test_a_text_is_cut_between_emoji_and_not_within_one(text: str, limit: int) -> None:
    """A name too long for its place ends with a whole sign, however the cut falls."""
    short = shortened(text, limit)
    assert len(short) <= max(limit, 1)
    assert short == text or text.startswith(short[:-1])
    left = short
    for emoji in JOINED:
        left = left.replace(emoji, "")
    assert set(left) <= {"a", " ", "…"}


@given(st.text(max_size=120))
@example("Support – Q3 / \u00c9t\u00e9")
@example("\u5ba2\u670d\u5bf9\u8bdd")
@example("\U0001f600" * 40)
def test_a_file_is_named_in_the_script_of_the_name(name: str) -> None:
    """A dataset in any script has files that are told apart, in a name that every file system takes."""
    stem = file_stem(name)
    assert len(stem.encode()) <= 120
    assert not set(stem) & set('/\\:*?"<>| .\0')
    assert stem or not any(sign.isalnum() for sign in name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Support: Q3 (final)", "support-q3-final"),
        ("\u00c9t\u00e9 2026", "\u00e9t\u00e9-2026"),
        ("\u5ba2\u670d\u5bf9\u8bdd", "\u5ba2\u670d\u5bf9\u8bdd"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("../..", ""),
        ("\u044f" * 120, "\u044f" * 60),
    ],
)
def test_a_file_keeps_the_words_of_its_name(name: str, stem: str) -> None:
    """Words, accents and vowel signs stay readable; what a path would act on does not."""
    assert file_stem(name) == stem
