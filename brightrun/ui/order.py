"""How a batch is to be written, what it will cost, and the button that starts it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import MAX_TURNS
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.estimate import Estimate
from brightrun.domain.part import Delivery
from brightrun.domain.scenario import Scenario
from brightrun.domain.template import Template
from brightrun.domain.text import shortened
from brightrun.services.batches import MAX_PREVIEW
from brightrun.services.plans import AUTO, MAX_ITEMS, Plan
from brightrun.ui.budget import ask_budget
from brightrun.ui.costs import draw_estimate
from brightrun.ui.counts import ask_count
from brightrun.ui.desk import Goal
from brightrun.ui.frame import Place, show_error
from brightrun.ui.intake import Intake
from brightrun.ui.session import begin, desk, person
from brightrun.ui.spaces import TEMPLATE
from brightrun.ui.text import counted, dollars, label_safe, plain

SHOWN_PROBLEMS = 5
LEAVE_OUT = "order-leave-out"
PRESSED = "order-pressed"


@dataclass(frozen=True, slots=True)
class Order:
    """How a batch is to be written, as it stands in the fields."""

    template: str
    options: JobOptions
    limit: int | None
    """Scenarios of which only the first are written; None for all."""
    faults: Sequence[InvalidInput] = ()
    """What stands in a field and cannot be taken: no batch starts beside it."""


def draw_options(app: App) -> Order:
    """Let a person choose the template, the writer and the limits."""
    left, right = st.columns(2)
    with left:
        template = _template(app.templates.all())
    with right:
        writer, model = _writer(app)
        delivery = draw_delivery("order") if writer is WriterName.CLAUDE else Delivery.DIRECT
    turns_at, limit_at, budget_at = st.columns(3)
    faults: list[InvalidInput] = []
    turns = ask_count(
        turns_at,
        "Messages each",
        (2, MAX_TURNS),
        faults,
        key="order-turns",
        remedy="Left empty, each emotional arc decides.",
        placeholder="By arc",
        help="Both roles together, an even number. Left empty, each emotional arc decides.",
    )
    limit = ask_count(
        limit_at,
        "At most this many",
        (1, MAX_ITEMS),
        faults,
        key="order-limit",
        remedy="Left empty, all are written.",
        placeholder="All",
        help="Only the first scenarios are written: a cheap way to look before you pay for the rest.",
    )
    budget = ask_budget(
        budget_at,
        "order-budget",
        faults if writer is WriterName.CLAUDE else [],  # the field is closed to the demo writer
        is_kept=True,
        disabled=writer is WriterName.DEMO,
        help="The batch pauses before a call that could exceed it. The demo writer costs nothing.",
    )
    stop = st.checkbox("Pause at the first failed item", key="order-stop", persist_state="session")
    retry_cut = st.checkbox(
        "Buy an answer that was cut at the token limit once more",
        key="order-retry-cut",
        persist_state="session",
        disabled=writer is WriterName.DEMO,
        help="Without this, a cut answer fails its item; it is kept, and you decide what to do.",
    )
    options = JobOptions(
        writer=writer,
        model=model,
        max_tokens=app.settings.max_tokens,
        turns=turns,
        stop_on_error=stop,
        retry_cut=retry_cut and writer is WriterName.CLAUDE,
        budget=budget if writer is WriterName.CLAUDE else None,
        delivery=delivery,
    )
    return Order(template, options, limit, faults)


def draw_delivery(key: str) -> Delivery:
    """Let a person say whether Claude's answers are wanted at once."""
    names = {Delivery.DIRECT: "Now", Delivery.OVERNIGHT: "Overnight, cheaper"}
    chosen = st.segmented_control(
        "When",
        list(Delivery),
        default=Delivery.DIRECT,
        required=True,
        format_func=lambda name: names[Delivery(name)],
        key=f"{key}-delivery",
        persist_state="session",
        help="Overnight goes through Claude's Message Batches: within a day, most within an hour, at half the price "
        "unless the price table says otherwise. A preview is written at once, at the usual price.",
    )
    return Delivery(chosen or Delivery.DIRECT)


def draw_plan(app: App, intake: Intake, order: Order) -> None:
    """Show what would be written and paid, and start it on request."""
    for wrong in order.faults:
        show_error(wrong)
    if order.faults:
        return
    template, options, limit = order.template, order.options, order.limit
    leave_out = bool(st.session_state.get(LEAVE_OUT))
    try:
        scenarios = intake.scenarios[:limit]
        plan = _plan(app, intake.key, template, options, limit, leave_out, _versions(app), scenarios)
    except BrightRunError as fault:
        show_error(fault)
        if options.writer is WriterName.CLAUDE and not app.prices.has(options.model):
            st.page_link(Place.SYSTEM.value, label="Add its price on the System page")
        return
    _draw_figures(plan, intake)
    for caution in plan.cautions():
        st.warning(label_safe(caution, limit=400))
    _draw_problems(plan)
    _draw_templates(plan)
    for note in (*intake.notes, *plan.notes):
        st.caption(label_safe(note))
    shown = repr((intake.key, template, options, limit, leave_out, plan.estimate))
    _draw_start(app, plan, intake, hashlib.sha256(shown.encode()).hexdigest()[:12])


@st.cache_resource(max_entries=3, ttl=600, scope="session", show_spinner="Checking every prompt…")
def _plan(
    _app: App,
    key: str,
    template: str,
    options: JobOptions,
    limit: int | None,
    leave_out: bool,
    versions: tuple[str, ...],
    _scenarios: Sequence[Scenario],
) -> Plan:
    return _app.planner.plan(_scenarios, options, template=template, leave_out=leave_out)


def _versions(app: App) -> tuple[str, ...]:
    """Return what makes a plan stale: any template published or switched on or off, any price changed."""
    return (*(template.version.id for template in app.templates.all()), *map(repr, app.prices.all()))


def _template(templates: Sequence[Template]) -> str:
    names = {AUTO: "Choose for me", **{t.template_key: t.name for t in templates}}
    chosen = st.selectbox(
        "Template",
        list(names),
        format_func=lambda key: plain(names.get(key, key)),
        key=TEMPLATE,
        persist_state="session",
        help="Chosen for you: by arc and tier, then persona, topic, rating, least used. Each item says why.",
    )
    return str(chosen or AUTO)


def _writer(app: App) -> tuple[WriterName, str]:
    settings = app.settings
    has_key = settings.anthropic_api_key is not None
    names = {WriterName.DEMO: "Demo writer", WriterName.CLAUDE: "Claude"}
    chosen = st.segmented_control(
        "Writer",
        list(WriterName) if has_key else [WriterName.DEMO],  # a locked choice would be too pale to read
        default=settings.default_writer if has_key else WriterName.DEMO,
        required=True,
        format_func=lambda name: names[WriterName(name)],
        key="order-writer",
        persist_state="session",
        help="The demo writer makes text up by rule: free, instant, and marked as a demo everywhere.",
    )
    writer = WriterName(chosen or WriterName.DEMO) if has_key else WriterName.DEMO
    if not has_key:
        st.caption("Claude needs a key: set `ANTHROPIC_API_KEY` and start Bright Run again.")
    if writer is WriterName.DEMO:
        return writer, "demo"
    priced = [price.model for price in app.prices.in_force()]
    models = list(dict.fromkeys([settings.model, *priced]))  # a size of prompt has a row of its own
    model = st.selectbox(
        "Model",
        models,
        key="order-model",
        persist_state="session",
        accept_new_options=True,
        help="Models with a price. Add one on the System page.",
    )
    return writer, str(model or settings.model).strip()


def _draw_figures(plan: Plan, intake: Intake) -> None:
    estimate = plan.estimate
    count, left_out = st.columns(2)
    count.metric("Conversations", f"{estimate.items:,}")
    left_out.metric("Duplicates left out", f"{intake.duplicates:,}")
    draw_estimate(estimate)


def _draw_problems(plan: Plan) -> None:
    problems, number = [*plan.problems, *plan.left_out], plan.faulty()
    if not problems:
        return
    if plan.left_out:
        st.warning(f"**{number} cannot be written and will be left out.**")
    else:
        st.error(
            f"**{number} cannot be written, so nothing starts yet.** "
            "Change the mapping, the template or the choice on the left."
        )
    st.checkbox("Go on without what cannot be written", key=LEAVE_OUT, persist_state="session")
    for problem in problems[:SHOWN_PROBLEMS]:
        st.text(f"• {problem}")
    if len(problems) > SHOWN_PROBLEMS:
        with st.expander(f"{len(problems) - SHOWN_PROBLEMS} more"):
            st.text("\n".join(f"• {problem}" for problem in problems[SHOWN_PROBLEMS:]))
    if plan.unseen:
        st.caption(f"{plan.unseen:,} more were not looked at.")


def _draw_templates(plan: Plan) -> None:
    if not plan.items:
        return
    st.markdown("**Templates used**")
    for name, number in plan.templates().most_common():
        st.text(f"{number:>6,} × {plain(name)}")
    first = plan.items[0]
    with st.expander("The first prompt, as it will be sent"):
        st.caption("System")
        st.code(first.prompt.system, language=None, wrap_lines=True, height=220)
        st.caption("Message")
        st.code(first.prompt.user, language=None, wrap_lines=True, height=320)
        if first.prompt.dataset_system:
            st.caption("What the trained assistant will see as its system message")
            st.code(first.prompt.dataset_system, language=None, wrap_lines=True)
        st.caption("Why this template")
        st.text(first.choice.reason)


def _draw_start(app: App, plan: Plan, intake: Intake, shown: str) -> None:
    """Start what is shown and nothing else: with another plan it is another button."""
    is_ready = not plan.problems and bool(plan.items)
    usual = f"{intake.name} ({plan.estimate.items:,})" if is_ready else intake.name
    name = st.text_input(
        "Name",
        max_chars=255,
        key="order-name",
        persist_state="session",
        placeholder=shortened(usual, 100),
    )
    title = (name or "").strip() or usual
    starts = st.button(
        f"Start batch of {plan.estimate.items:,}" if is_ready else "Start batch",
        type="primary",
        key=f"order-start-{shown}",
        disabled=not is_ready,
        width="stretch",
        help=None if is_ready else "Something above has to be mended first.",
        on_click=_press,
        args=(shown,),
    )
    _tell_stale(shown)
    preview = _draw_preview(app, plan, shown) if is_ready else None
    if starts or preview:
        _start(app, plan, title, shown, preview)


def _press(shown: str) -> None:
    desk().heard[PRESSED] = shown


def _tell_stale(shown: str) -> None:
    """Say why nothing starts where the button was pressed beside another plan: it is gone with that."""
    pressed = desk().heard.pop(PRESSED, shown)
    if pressed != shown:
        st.warning(
            "The plan changed before it was started: a choice, a template or a price. Look at it again, then start it."
        )


def _draw_preview(app: App, plan: Plan, shown: str) -> int | None:
    """Offer to write the first items alone, to be read before the rest is paid for."""
    most = min(MAX_PREVIEW, plan.estimate.items - 1)
    if most < 1:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox(
            "Preview",
            range(1, most + 1),
            index=most - 1,
            key=f"order-preview-number-{most}",
            persist_state="session",
            width=110,
            help="How many first.",
        )
        clicked = st.button(
            f"Write {wanted} first, then decide",
            key=f"order-preview-{shown}",
            width="stretch",
            help="They are the first of this batch. Read them, adjust the rest, then start it.",
            on_click=_press,
            args=(shown,),
        )
    if plan.options.writer is WriterName.CLAUDE:
        cost = _price_of_preview(app, shown, wanted, plan)
        rest = counted(plan.estimate.items - wanted, "conversation waits", "conversations wait")
        st.caption(
            label_safe(f"About {dollars(cost.expected_usd)} for the first {wanted}; {rest} for your word.")
        )
    return wanted if clicked else None


@st.cache_resource(max_entries=6, ttl=600, scope="session", show_spinner=False)
def _price_of_preview(_app: App, shown: str, number: int, _plan: Plan) -> Estimate:
    return _app.planner.price_of_preview(_plan, number)


def _start(app: App, plan: Plan, title: str, shown: str, preview: int | None) -> None:
    own, actor = begin(), person()
    try:
        app.writer(plan.options.writer)  # a missing key is said now, not at the first item
        job = own.once(
            ("start", shown, title, preview),
            lambda: app.batches.create(plan, name=title, actor=actor, preview=preview),
        )
    except BrightRunError as fault:
        show_error(fault)
        return
    own.upload = None  # it has become a batch: the next one is not begun from it by chance
    own.goal = Goal(Place.BATCH.value, {"job": job.id})
    st.rerun()
