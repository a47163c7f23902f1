"""What a scenario's free variables say: the matter, small facts, a mood, how it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping

from brightrun.writers.demo.wording import clean, lowered, statements, words

_MATTER = (
    "scenario",
    "situation",
    "problem",
    "issue",
    "request",
    "description",
    "story",
    "prompt",
    "question",
)
_SILENT = re.compile(
    r"role|mood|tone|emotion|sentiment|happ|success|resol|outcome|ending|(?:^|_)id$|^id|key$|language|category"
    r"|domain|task|difficulty|tier|turn|seed|model|split|source|date$",
    re.IGNORECASE,
)
_MOOD = re.compile(r"mood|tone|emotion|sentiment|feeling", re.IGNORECASE)
_ENDING = re.compile(r"happ|success|resol|outcome|ending|satisf", re.IGNORECASE)
_NO = {
    "false",
    "no",
    "0",
    "n",
    "f",
    "bad",
    "sad",
    "unhappy",
    "failure",
    "failed",
    "unresolved",
    "negative",
    "none",
}
_TASK_WORDS = {
    "book": "booking",
    "schedule": "scheduling",
    "rsvp": "an answer to an invitation",
    "plan": "planning",
}


def main_statements(variables: Mapping[str, str]) -> list[str]:
    """Return what the longest or best-named variable says, as sentences of the user."""
    named = [name for name in _MATTER if words(variables.get(name, "")) > 2]
    free = [name for name in variables if not _SILENT.search(name)]
    for name in (*named, *sorted(free, key=lambda name: (-len(variables[name]), name))):
        if name in named or words(variables[name]) > 5:
            found = statements(variables[name])
            if found:
                return found
    return _task_statements(variables)


def facts(variables: Mapping[str, str]) -> list[str]:
    """Return the short variables as sentences of the user."""
    found = []
    for name in sorted(variables):
        value = clean(variables[name]).rstrip(".")
        label = clean(re.sub(r"[_\-]+", " ", name)).lower()
        plain = (
            not _SILENT.search(name) and name not in _MATTER and value.lower() not in _NO | {"true", "yes"}
        )
        if plain and label and 0 < words(value) <= 5 and words(label) <= 4 and not value.endswith(("?", "!")):
            verb = "are" if label.endswith("s") and not label.endswith("ss") else "is"
            found.append(f"The {label} {verb} {value}.")
    return found


def mood(variables: Mapping[str, str]) -> str:
    """Return a mood that is named in a word or two; longer texts are instructions, not moods."""
    return next((v for n, v in sorted(variables.items()) if _MOOD.search(n) and 0 < words(v) <= 3), "")


def ends_happily(variables: Mapping[str, str]) -> bool:
    """Say how it is to end; well, where nothing says otherwise."""
    endings = [value.strip().lower() for name, value in variables.items() if _ENDING.search(name)]
    return not any(value in _NO for value in endings)


def offer_of_role(variables: Mapping[str, str]) -> str:
    """Return what the assistant is there for, in its own words, where a role says so plainly."""
    role = next((clean(text) for name, text in sorted(variables.items()) if "role" in name.lower()), "")
    first = re.split(r"(?<=[.!?])\s|\s\(", role)[0].rstrip(".")
    match = re.fullmatch(r"Help the (?:user|customer|client|caller) (\w.*)", first, re.IGNORECASE)
    if not match or words(match[1]) > 14:
        return ""
    task = re.sub(r"\b(?:the user|the customer|the client|the caller|them|they)\b", "you", match[1])
    task = re.sub(r"\b(?:their|his|her)\b", "your", task)
    return f"I am here to help you {task}."


def _task_statements(variables: Mapping[str, str]) -> list[str]:
    """Fall back on the name of a task, such as `hotel_book+weather`."""
    text = next(
        (variables[name] for name in ("task", "domain", "topic", "intent") if variables.get(name)), ""
    )
    tasks = [" ".join(_TASK_WORDS.get(w, w) for w in re.split(r"[_\s]+", t) if w) for t in clean_tasks(text)]
    return [f"It is about {' and '.join(lowered(task) for task in tasks[:2])}."] if tasks else []


def clean_tasks(text: str) -> list[str]:
    """Split a list of task names."""
    safe = re.sub(r"[^\w+,/& -]+", " ", text)
    return [part.strip() for part in re.split(r"[+,/&]", safe) if part.strip()]
