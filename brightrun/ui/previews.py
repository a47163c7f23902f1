"""A batch in preview: what is written of it to be read, the rest to be adjusted and started."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Item, ItemStatus, Job, JobStatus
from brightrun.domain.conversation import MAX_TURNS
from brightrun.domain.errors import AlreadyDone, BrightRunError, InvalidInput
from brightrun.domain.ids import JobId
from brightrun.domain.person import Action
from brightrun.domain.text import shortened
from brightrun.services.plans import AUTO
from brightrun.services.previews import KEPT, Rest, have_ended
from brightrun.ui.costs import draw_estimate
from brightrun.ui.counts import ask_count
from brightrun.ui.frame import Place, told
from brightrun.ui.session import begin, desk, person
from brightrun.ui.text import counted, label_safe, plain, words

HEIGHT = 460


def draw_preview(app: App, job: Job) -> None:
    """Draw a job's preview, and what can be done with what waits behind it."""
    if job.preview is None or not (job.is_open or job.status is JobStatus.PAUSED):
        return
    items = app.previews.written(job)
    waiting = job.counts.total - len(items)
    if not have_ended(items):
        st.caption(f"Only the first {len(items)} of {job.counts.total:,} are written now, for you to read.")
        return
    with st.container(border=True, key="preview"):
        st.subheader(f"Preview: the first {len(items)} of {job.counts.total:,}", anchor=False)
        st.caption(
            f"{counted(waiting, 'conversation waits', 'conversations wait')} until you start the rest. "
            "What is written here belongs to the batch and is not paid for again."
        )
        _draw_items(app, job, items)
        if app.may(Action.RUN_BATCH):
            with told():
                _draw_adjust(app, job)
        _draw_start(app, job, waiting, is_pending=_is_pending(job.id))


def _draw_items(app: App, job: Job, items: Sequence[Item]) -> None:
    tabs = st.tabs(
        [f"{item.position} · {shortened(plain(app.scenarios.title(item.scenario)), 40)}" for item in items]
    )
    for tab, item in zip(tabs, items, strict=True):
        with tab:
            _draw_item(app, job, item)


def _draw_item(app: App, job: Job, item: Item) -> None:
    if item.conversation_id is None:
        st.caption(f"{words(item.status.value)} · {label_safe(item.template_name)}")
        if item.status is ItemStatus.FAILED:
            st.text(item.error_message or "")
        return
    read = app.reviews.read(item.conversation_id)
    with st.container(height=HEIGHT, autoscroll=False):  # the link lets a keyboard scroll it
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(f"{read.quality_score:.1f} of 10", color="gray")
            st.badge(label_safe(item.template_name), color="blue")
            st.page_link(
                Place.REVIEW.value,
                label="Open it in the reader",
                query_params={"job": job.id, "id": item.conversation_id},
            )
        for turn in read.turns:
            with st.chat_message(turn.role.value):
                st.text(shortened(turn.content, 20_000))
        for finding in read.findings:
            st.caption(f"⚠ {label_safe(finding['message'], limit=300)}")


def _draw_adjust(app: App, job: Job) -> None:
    """Let a person give the rest another template or other values, with the price shown before."""
    part = st.expander("Adjust the rest", key=f"rest-{job.id}", on_change="rerun")
    if not part.open:
        return
    with part:
        st.caption(
            "Edit the template on the Templates page, publish it, and the rest can take the new version. "
            "What is written stays as it is."
        )
        templates = app.templates.all()
        names = {
            KEPT: "What each has, in its newest version",
            AUTO: "Choose again for me",
            **{t.template_key: t.name for t in templates},
        }
        template = st.selectbox(
            "Template for the rest",
            list(names),
            format_func=lambda key: plain(names.get(key, key)),
            key=_field("template", job.id),
        )
        text = st.text_area(
            "Variables that all of the rest gets, one a line",
            key=_field("variables", job.id),
            placeholder="mood: calm",
            height=80,
            help="A name without a value takes the variable away.",
        )
        faults: list[InvalidInput] = []
        turns = ask_count(
            part,
            "Messages each",
            (2, MAX_TURNS),
            faults,
            key=_field("turns", job.id),
            persist_state=None,  # put away with the other fields here when the part is closed
            placeholder="As they are",
            width=220,
            help="Both roles together, an even number.",
        )
        if faults:  # said beside the field; what is adjusted is the rest as it stands there, or nothing
            return
        rest = _rest(
            app,
            job.id,
            (job.preview, job.counts, desk().adjusted),
            str(template),
            tuple(_variables(text).items()),
            turns,
            (*(t.version.id for t in templates), *map(repr, app.prices.all())),
        )
        versions = {(i.choice.template.name, i.choice.template.version.version) for i in rest.plan.items}
        st.text(", ".join(f"{plain(name)} v{version}" for name, version in sorted(versions)))
        if turns is not None and turns % 2:
            st.caption(f"{turns} messages become {turns + 1}: the assistant has the last word.")
        st.caption(label_safe(_standing(rest), limit=400))
        if rest.plan.problems:
            st.error(f"**{rest.plan.faulty()} cannot be written so.**")
            st.text("\n".join(f"• {problem}" for problem in rest.plan.faults()[:5]))
        else:
            draw_estimate(rest.plan.estimate)
        st.button(
            f"Adjust the remaining {len(rest.items):,}",
            key="preview-adjust",
            disabled=bool(rest.plan.problems),
            on_click=_adjust,
            args=(app, job.id, rest),
        )


def _standing(rest: Rest) -> str:
    """Say what the next of the rest has now, adjusted or not."""
    first = rest.items[0]
    values = ", ".join(f"{name}: {value}" for name, value in first.scenario.variables.items())
    return f"As it stands, the next has {first.template_name}{f' and {shortened(values, 300)}' if values else ''}."


def _field(name: str, job_id: JobId) -> str:
    return f"rest-{name}-{job_id}"


def _is_pending(job_id: JobId) -> bool:
    """Whether something is chosen for the rest that nobody has applied: starting now would pass over it."""
    held = st.session_state
    text = str(held.get(_field("variables", job_id)) or "").strip()
    is_kept = held.get(_field("template", job_id), KEPT) == KEPT
    return bool(text) or not is_kept or bool(str(held.get(_field("turns", job_id)) or "").strip())


@st.cache_resource(max_entries=3, ttl=60, scope="session", show_spinner="Checking every prompt…")
def _rest(
    _app: App,
    job_id: JobId,
    state: tuple[object, ...],
    template: str,
    variables: tuple[tuple[str, str], ...],
    turns: int | None,
    versions: tuple[str, ...],
) -> Rest:
    """Plan the rest once for what is chosen: `state` and `versions` say when that is stale."""
    return _app.previews.plan_rest(job_id, template=template, variables=dict(variables), turns=turns)


def _draw_start(app: App, job: Job, waiting: int, *, is_pending: bool = False) -> None:
    may = app.may(Action.RUN_BATCH) and not is_pending
    if is_pending:
        st.warning("What you chose for the rest is not applied yet: adjust the rest with it, or empty it.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Start the remaining {waiting:,}",
            type="primary",
            key="preview-start",
            disabled=not may,
            on_click=_start,
            args=(job, "The rest is started.", lambda: app.previews.start(job.id, actor=person())),
        )
        st.button(
            "Preview one more",
            key="preview-more",
            disabled=waiting < 2 or not may,
            help="With what was adjusted." if waiting > 1 else "It is the last one: start it.",
            on_click=_start,
            args=(job, "The preview goes on.", lambda: _extend(app, job)),
        )


def _variables(text: str | None) -> dict[str, str]:
    found = {}
    for line in filter(str.strip, (text or "").splitlines()):
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidInput(f"The line {line!r} is not a variable.", remedy="Write: mood: calm")
        found[name.strip()] = value.strip()
    return found


def _adjust(app: App, job_id: JobId, rest: Rest) -> None:
    own = begin()
    own.adjusted += 1  # refused, too: it may be that somebody else has adjusted it
    try:
        number = app.previews.adjust(rest, actor=person())
    except BrightRunError as fault:
        own.complain(fault)
    else:
        for name, nothing in (("template", KEPT), ("variables", ""), ("turns", "")):
            st.session_state[_field(name, job_id)] = nothing
        own.notify(f"{counted(number, 'item')} adjusted.")


def _extend(app: App, job: Job) -> Job:
    assert job.preview is not None, "only a preview is drawn"
    return app.previews.extend(job.id, seen=job.preview, more=1, actor=person())


def _start(job: Job, said: str, act: Callable[[], Job]) -> None:
    own = begin()
    try:
        own.once(("rest", job.id, job.preview, said), act)
    except AlreadyDone as done:  # by another tab or person: what was asked for is under way
        own.watched.discard(job.id)
        own.notify(label_safe(str(done)))
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.watched.discard(job.id)
        own.notify(said)
