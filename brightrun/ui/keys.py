"""The keyboard of the review: the sheet that lists it, and the script that lets it reach every corner."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

SHEET: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "Moving",
        (
            ("J", "next conversation"),
            ("K", "the one before"),
            ("↑ ↓", "in the list: read on; Space selects the row"),
            ("/", "search the words of all turns"),
            ("Esc", "leave a field, close this sheet"),
        ),
    ),
    (
        "Deciding",
        (
            ("A", "approve"),
            ("X", "reject"),
            ("N", "needs revision"),
            ("Y", "choose why it is rejected: arrows, Enter, then X"),
            ("U", "undo the last decision of this visit"),
        ),
    ),
    (
        "Correcting",
        (
            ("1 … 9", "edit that turn"),
            ("Ctrl+Enter", "save it"),
            ("Esc", "give the correction up"),
            ("W", "have it written again with feedback"),
        ),
    ),
    ("Help", (("?", "this sheet"),)),
)

# Streamlit's own shortcuts hear no key inside the list, know no punctuation, and put their letter into the name
# of a button. Here a key presses the button that does the same, wherever the cursor is, except in a field; a key
# that is held down, or pressed while the page is being drawn, never decides on what nobody has read.
_SCRIPT = """
const BUTTONS = {
  a: "decide-approved", x: "decide-rejected", n: "decide-needs_revision", u: "undo",
  j: "walk-next", k: "walk-previous", w: "again", "?": "keys",
};
for (let turn = 1; turn <= 9; turn += 1) BUTTONS[turn] = `edit-${turn}`;
const FIELDS = {"/": ".st-key-q input", y: ".st-key-decide-reason input"};
const OWN_TO_LIST = ["a", "x", "n"];
const find = (selector) => document.querySelector(selector);
const typing = (target) => {
  if (!target || !target.tagName) return false;
  if (target.tagName === "INPUT") return !["checkbox", "radio", "button"].includes(target.type);
  return ["TEXTAREA", "SELECT"].includes(target.tagName) || target.isContentEditable;
};
const busy = () => {
  const app = find("[data-testid=stApp]");
  return !app || app.getAttribute("data-test-script-state") !== "notRunning";
};
const focus = (selector) => {
  const field = find(selector);
  if (!field) return false;
  window.focus();
  field.focus();
  field.scrollIntoView({block: "nearest"});
  return true;
};
const act = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !event.key) return false;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (FIELDS[key]) return focus(FIELDS[key]);
  const button = BUTTONS[key] && find(`.st-key-${BUTTONS[key]} button`);
  if (!button || button.disabled || busy()) return false;
  button.click();
  return true;
};
const inPage = (event) => {
  const target = event.target;
  if (find("[role=dialog]")) return;
  if (typing(target)) {
    const isReason = target.closest && target.closest(".st-key-decide-reason");
    const leaves = event.key === "Escape" && !target.closest(".st-key-reader");
    if (leaves || (isReason && event.key === "Enter")) setTimeout(() => target.blur(), 150);
    return;
  }
  if (act(event)) event.preventDefault();
};
// The second click of a double click would decide on whatever has moved under the mouse meanwhile.
const onClick = (event) => {
  if (event.detail < 2 || !event.target.closest || !event.target.closest(".st-key-decisions button")) return;
  event.preventDefault();
  event.stopPropagation();
};
const step = (event, inner) => {
  const row = event.target.closest && event.target.closest("[row-index]");
  if (!row) return false;
  const places = [...inner.querySelectorAll("[row-id][row-index]")].map((one) => Number(one.getAttribute("row-index")));
  const goal = Number(row.getAttribute("row-index")) + (event.key.toLowerCase() === "j" ? 1 : -1);
  if (!places.includes(goal)) return false;
  const key = event.key.toLowerCase() === "j" ? "ArrowDown" : "ArrowUp";
  event.target.dispatchEvent(new KeyboardEvent("keydown", {key, code: key, bubbles: true, cancelable: true}));
  return true;
};
const inList = (inner) => (event) => {
  const key = (event.key || "").toLowerCase();
  if (typing(event.target) || OWN_TO_LIST.includes(key)) return;
  if (["j", "k"].includes(key) && !event.repeat && step(event, inner)) return;
  if (!act(event)) return;
  event.preventDefault();
  // What opens a sheet or a field takes the cursor along: Escape is pressed there, and not in the list.
  if (!["j", "k", "u"].includes(key) && document.activeElement.tagName === "IFRAME") document.activeElement.blur();
};
const hook = () => {
  const frame = document.activeElement;
  if (!frame || frame.tagName !== "IFRAME") return;
  let inner = null;
  try { inner = frame.contentDocument; } catch (fault) { return; }
  if (!inner || inner.brightrunKeys) return;
  inner.brightrunKeys = true;
  inner.addEventListener("keydown", inList(inner), true);
};
export default function (component) {
  if (!window.brightrunKeys) {
    window.brightrunKeys = true;
    document.addEventListener("keydown", inPage, true);
    document.addEventListener("click", onClick, true);
    window.addEventListener("blur", () => setTimeout(hook, 0));
  }
  const wanted = component.data && component.data.focus;
  if (wanted === window.brightrunFocus) return;
  window.brightrunFocus = wanted;
  if (!wanted) return;
  let tries = 0;
  const timer = setInterval(() => { if (focus(wanted) || ++tries > 60) clearInterval(timer); }, 50);
}
"""

_keys = st.components.v2.component("brightrun.keys", js=_SCRIPT)


def draw_keys(focus: str | None = None) -> None:
    """Let the keyboard reach everything; `focus` names, as a selector, the field that wants the cursor."""
    _keys(key="review-keys", data={"focus": focus})


def draw_help() -> None:
    """Draw the way to the sheet of keys."""
    if st.button("Keys ?", key="keys", type="tertiary", help="All keys, also by ?"):
        _sheet()


@st.dialog("Keys")
def _sheet() -> None:
    for title, keys in SHEET:
        st.markdown(f"**{title}**")
        for key, meaning in keys:
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.badge(key, color="gray", width="content")
                st.caption(meaning, width="content")
