"""The log: JSON, one line an event, without secrets; to a file that rotates, to standard error, or both.

The standard library's logging, because the libraries below speak it too and one handler then hears all.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import orjson
from filelock import FileLock, Timeout
from pydantic import SecretStr

from brightrun.config import LogTarget, Settings
from brightrun.events.event import ROOT, context

FILE = "brightrun.jsonl"
KEPT = 5
"""Older files beside the current one."""
LOOK_SECONDS = 0.2
LONGEST_TEXT = 8000
"""A traceback fits; an answer quoted in full is cut."""
SHORTEST_SECRET = 4
"""A shorter word would be struck out of half the log."""
PASSWORD = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")


def open_log(settings: Settings) -> Callable[[], None]:
    """Let every logger of this process write where the settings say; returns how to stop that."""
    line = Line(secrets_of(settings))
    handlers: list[logging.Handler] = []
    if settings.log in (LogTarget.FILE, LogTarget.BOTH):
        handlers.append(SharedFile(log_path(settings), round(settings.log_megabytes * 1e6)))
    if settings.log in (LogTarget.STDERR, LogTarget.BOTH):
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    logging.getLogger(ROOT).setLevel(settings.log_level.value.upper())
    handlers = handlers or [logging.NullHandler()]  # else Python itself would print warnings
    for handler in handlers:
        handler.setFormatter(line)
        root.addHandler(handler)

    def close() -> None:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()

    return close


def log_path(settings: Settings) -> Path:
    """Return the file the log is written to."""
    return settings.home.expanduser().absolute() / "logs" / FILE


def secrets_of(settings: Settings) -> list[str]:
    """Return every word of the settings that must not be told, and the forms it may turn up in."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            word = value.get_secret_value()
            found.add(word)
            password = _password(word)
            found |= {password, unquote(password)}
    forms = set().union(*(_forms(word) for word in found if len(word) >= SHORTEST_SECRET))
    return sorted(forms, key=len, reverse=True)


class Line(logging.Formatter):
    """Formats a record as one JSON object; what is a secret is struck out of the finished line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = [word.encode() for word in secrets]

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": event or "message",
            **context(),
            **getattr(record, "fields", {}),
        }
        if event is None:
            line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        line |= {"pid": record.process, "thread": record.threadName}
        told = {
            name: _short(value) if type(value) is str else value
            for name, value in line.items()
            if value is not None
        }
        data = _dumped(told)
        for word in self._secrets:
            data = data.replace(word, b"***")
        return data.decode()


class SharedFile(logging.Handler):
    """A file that many processes append to, each line in one write, and that rotates by size.

    A step must never wait for its log: only rotating takes a lock, and whoever does not get it at once
    goes on with the file as it is. What cannot be written is said once on standard error.
    """

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__()
        self._path = path
        self._limit = limit
        self._file: int | None = None
        self._looked = 0.0
        self._torn = False
        self._complained = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            data = self.format(record).encode("utf-8", "replace") + b"\n"
            self._write(b"\n" + data if self._torn else data)
        except (OSError, TypeError, ValueError) as fault:  # the work goes on without its log
            self._complain(fault)

    def close(self) -> None:
        self.acquire()
        try:
            self._let_go()
        finally:
            self.release()
        super().close()

    def _write(self, data: bytes) -> None:
        written = os.write(self._opened(len(data)), data)
        self._torn = 0 < written < len(data)
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._complained = False

    def _opened(self, more: int) -> int:
        """Return the current file: another one where somebody has rotated, moved or removed it.

        A file that another process has rotated is full, which is seen at once. Whether the name means
        another one is asked now and then: to ask for every line would cost as much as the line.
        """
        now = time.monotonic()
        while True:
            if self._file is not None and now - self._looked > LOOK_SECONDS:
                self._looked = now
                if not self._is_current(self._file):
                    self._let_go()
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            found = os.fstat(self._file)
            is_full = found.st_size > 0 and found.st_size + more > self._limit
            if found.st_nlink and not (is_full and self._rotate()):
                return self._file
            if self._file is not None and not self._is_current(self._file):
                self._let_go()

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return False

    def _rotate(self) -> bool:
        """Move every file one place on; False where another process is at it, or holds a file open."""
        if self._file is None or not self._is_current(self._file):
            return True
        try:
            with FileLock(f"{self._path}.lock", timeout=0):
                if self._is_current(self._file):
                    self._let_go()  # some systems move no file that is open
                    for number in range(KEPT, 0, -1):
                        older = self._numbered(number - 1)
                        if older.exists():
                            older.replace(self._numbered(number))
                return True
        except (Timeout, OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            return False

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _complain(self, fault: Exception) -> None:
        if not self._complained:
            self._complained = True
            sys.stderr.write(f"Bright Run's log {self._path} cannot be written: {fault}\n")


def _dumped(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # half a character: rare, and looking for it would cost every line
        whole = {name: _whole(value) if isinstance(value, str) else value for name, value in line.items()}
        return orjson.dumps(whole, default=str, option=orjson.OPT_NON_STR_KEYS)


def _short(value: object) -> object:
    """Return a value with a text, which may be a whole answer, cut to what a line should hold."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}…"
    return value


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _password(word: str) -> str:
    """Return the password in a connection string of either form; empty where there is none."""
    if "://" in word:
        return urlsplit(word).password or ""
    found = PASSWORD.search(word)
    return found[1].strip("'") if found else ""


def _forms(word: str) -> set[str]:
    """Return how a word looks on a line: as it is, in an address, quoted by Python, and in JSON in JSON."""
    quoted = (word, repr(word)[1:-1], orjson.dumps(word).decode()[1:-1])
    return {quote(word, safe=""), *(orjson.dumps(form).decode()[1:-1] for form in quoted)}
