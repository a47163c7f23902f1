"""The System page's parts: what is there, what is set, what a model costs, what the shell can do."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pandas as pd
import streamlit as st

from brightrun import __version__
from brightrun.bootstrap import App
from brightrun.config import Database, Settings
from brightrun.domain.address import shown
from brightrun.services.system import Check
from brightrun.ui.text import counted, label_safe

COMMANDS = """\
Start
  brightrun app                                  this web app
  brightrun check                                this page in text
Plan and write
  brightrun plan                                 scenarios from the scaffolding, as a CSV
  brightrun generate --scenarios FILE.csv        create a batch and print its id
  brightrun process JOB                          advance it to its end; Ctrl-C leaves it resumable
  brightrun work [JOB]                           the same for one or all, several calls at a time
  brightrun worker                               write whatever is open until it is stopped
  brightrun preview|start JOB                    read its first conversations; start the rest
Follow and steer
  brightrun status|log [JOB]                     counts, cost and time; what happened
  brightrun pause|resume|cancel|retry JOB        stop, go on, end for good, queue the failed ones again
  brightrun reparse JOB                          read its stored answers again, for nothing
Read and decide
  brightrun review JOB --approve|--reject        decide on what waits for review
  brightrun correct CONVERSATION --turn N        change a turn, or keep it out of training
  brightrun regenerate CONVERSATION --note TEXT  have it written again with feedback
  brightrun judge JOB                            have Claude give verdicts on what was written
  brightrun duplicates JOB                       flag what is nearly the same as something else
Bring in and take out
  brightrun import FILE                          conversations from elsewhere, to be reviewed
  brightrun export --out DIR                     freeze what is approved and write its files
Set up
  brightrun templates|scaffolding|prices|people  list and change them
  brightrun --help                               every command; COMMAND --help says all of one
"""


def draw_checks(app: App) -> None:
    """Run every check and show each with its remedy; none of them costs money."""
    with st.spinner("Looking…"):
        checks = app.system.checks()
    missing = [check for check in checks if not check.is_ok]
    if missing:
        st.error(f"**{counted(len(missing), 'check')} failed.** Each says below what to do.")
    else:
        st.success("Everything a batch needs is there.")
    fine = [check for check in checks if check.is_ok]
    with st.container(border=True):
        for check in [*missing, *sorted(fine, key=lambda check: not check.is_notice)]:
            _draw_check(check)
    st.button("Check again", key="checks-again")


def draw_settings(app: App) -> None:
    """Show what is in use; secrets are shown as set or not set, never themselves."""
    rows = _settings_rows(app.settings)
    frame = pd.DataFrame(rows, columns=["Setting", "In use", "Set by"])
    st.dataframe(frame, hide_index=True, height="content")
    st.caption("Settings come from the environment, then `.env`, then `.streamlit/secrets.toml`.")


def draw_commands() -> None:
    """List what the shell does for most people, by purpose."""
    st.code(COMMANDS, language=None)


def _draw_check(check: Check) -> None:
    mark, name, detail = st.columns([1, 2, 7], vertical_alignment="center")
    with mark:
        if check.is_notice:
            st.badge("Notice", color="orange")
        else:
            st.badge("OK" if check.is_ok else "Missing", color="green" if check.is_ok else "red")
    name.markdown(f"**{label_safe(check.name)}**")
    with detail:
        st.text(check.detail)
        if check.remedy:
            st.text(f"→ {check.remedy}")


def _settings_rows(settings: Settings) -> list[tuple[str, str, str]]:
    place = {
        Database.EMBEDDED: f"embedded, in {settings.home}",
        Database.POSTGRES: "PostgreSQL named by DATABASE_URL",
        Database.SUPABASE: f"Supabase, {shown(settings.supabase_url or '')}",
    }[settings.database]
    address = shown(settings.anthropic_base_url) if settings.anthropic_base_url else "the API's own"
    key = "set" if settings.anthropic_api_key else "not set"
    return [
        ("Database", place, "DATABASE_URL, SUPABASE_URL"),
        ("Data folder", str(settings.home), "BRIGHTRUN_HOME"),
        ("Writer", settings.default_writer.value, "BRIGHTRUN_WRITER"),
        ("Model", settings.model, "BRIGHTRUN_MODEL"),
        ("Claude's key", key, "ANTHROPIC_API_KEY"),
        ("Claude's address", address, "ANTHROPIC_BASE_URL"),
        ("Tokens an answer may have", f"{settings.max_tokens:,}", "BRIGHTRUN_MAX_TOKENS"),
        ("Time-out of a call", f"{settings.call_timeout:g} s", "BRIGHTRUN_CALL_TIMEOUT"),
        ("Tries an item gets", str(settings.max_attempts), "BRIGHTRUN_MAX_ATTEMPTS"),
        ("Steps are made in", settings.runner.value, "BRIGHTRUN_RUNNER"),
        ("Acting person", settings.person, "BRIGHTRUN_ACTOR"),
        ("Bright Run", __version__, ""),
        ("Python", platform.python_version(), ""),
        ("Streamlit", version("streamlit"), ""),
    ]
