"""A bucket that is a folder: whole files only, written once, gone over by fsync."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path

from brightrun.buckets.keys import folder, segments
from brightrun.domain.bucket import Room
from brightrun.domain.conversation import MAX_ANSWER_BYTES
from brightrun.domain.errors import ObjectExists, ObjectMissing, StorageFault

_FREE_BYTES_NEEDED = 2 * MAX_ANSWER_BYTES
_OPEN_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalBucket:
    """Objects as files below `root/name`; a reader sees a whole object or none."""

    def __init__(self, root: Path, name: str) -> None:
        (self.name,) = segments(name)
        self._folder = root / name
        self._real_folder: Path | None = None
        self._checked: dict[tuple[str, ...], Path] = {}
        self._nameless = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        with self._faults(key):
            target = self._inside(key)
            if not self._put_nameless(target, data, key, overwrite=overwrite, durable=durable):
                self._put_named(target, data, key, overwrite=overwrite, durable=durable)

    def set_aside(self, size: int) -> Room | None:
        """Return a file without a name that holds its space already."""
        with self._faults(""):
            _make_folder(self._folder)
            if shutil.disk_usage(self._folder).free < size:
                raise self._full("", "it has no room for another answer")
            if not self._nameless:
                return None
            try:
                room = _Room(os.open(self._folder, os.O_WRONLY | os.O_TMPFILE, 0o600))
                os.posix_fallocate(room.handle, 0, size)
            except OSError as exc:
                if exc.errno in _NO_NAMELESS:
                    return None
                raise
            return room

    def put_aside(self, key: str, data: bytes, room: Room) -> None:
        """Fill the file and give back what is left of its space before it gets a name, which takes some too."""
        with self._faults(key), contextlib.closing(room):
            _fill(room.handle, data, durable=False)
            os.ftruncate(room.handle, len(data))
            os.fsync(room.handle)
            target = self._inside(key)
            with _opened_folder(target.parent) as folder:
                with self._only_once(key):
                    _name(room.handle, target.name, folder, overwrite=False)
                os.fsync(folder)

    def put_file(self, key: str, source: os.PathLike[str], *, overwrite: bool = False) -> None:
        with self._faults(key):
            target = self._inside(key)
            with self._unfinished(target, key, overwrite=overwrite, durable=True) as unfinished:
                _make_folder(target.parent)
                shutil.copyfile(source, unfinished)
                with unfinished.open("rb+") as file:
                    os.fsync(file.fileno())

    def get(self, key: str) -> bytes:
        with self._faults(key):
            try:
                return self._inside(key, follow=True).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
                raise self._missing(key) from exc

    def exists(self, key: str) -> bool:
        with self._faults(key):
            return self._inside(key, follow=True).is_file()

    def list(self, prefix: str) -> list[str]:
        parts = folder(prefix, bucket=self.name)
        with self._faults(prefix):
            start = self._inside("/".join(parts)) if parts else self._folder
            return sorted(_objects(start, "".join(f"{part}/" for part in parts)))

    def delete(self, key: str) -> None:
        with self._faults(key):
            target = self._inside(key)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                target.unlink()

    def check(self) -> None:
        probe = f"check-{uuid.uuid4().hex}"
        self.put(probe, b"ok", durable=False)
        self.delete(probe)
        free = shutil.disk_usage(self._folder).free
        if free < _FREE_BYTES_NEEDED:
            raise self._full(probe, f"only {free // 1024} KB are left")

    def _inside(self, key: str, *, follow: bool = False) -> Path:
        """Return the file of a key, having made sure that no symbolic link leads out of the bucket."""
        parts = segments(key, bucket=self.name)
        if not follow:
            parent = self._checked.get(parts[:-1])
            if parent is not None:
                return parent / parts[-1]
        path = self._folder.joinpath(*parts)
        if self._real_folder is None:
            _make_folder(self._folder)
            self._real_folder = self._folder.resolve()
        real = (path if follow else path.parent).resolve()
        if not real.is_relative_to(self._real_folder):
            raise StorageFault(
                f"{key!r} leads out of the bucket {self.name} by a symbolic link.",
                remedy=f"Remove the link from {self._folder}.",
                bucket=self.name,
                key=key,
            )
        if not follow and path.parent.is_dir():
            self._checked[parts[:-1]] = path.parent  # resolving it at every write would double its cost
        return path

    def _put_nameless(self, target: Path, data: bytes, key: str, *, overwrite: bool, durable: bool) -> bool:
        """Fill a file without a name and give it one; False where the system has no such files.

        One folder entry instead of two and a removal; a killed process leaves nothing behind.
        """
        if not self._nameless:
            return False
        with _opened_folder(target.parent) as folder:
            try:
                handle = os.open(".", os.O_WRONLY | os.O_TMPFILE, 0o600, dir_fd=folder)
            except OSError as exc:
                if exc.errno not in _NO_NAMELESS:
                    raise
                self._nameless = False
                return False
            try:
                _fill(handle, data, durable=durable)
                with self._only_once(key):
                    _name(handle, target.name, folder, overwrite=overwrite)
            finally:
                os.close(handle)
            if durable:
                os.fsync(folder)
        return True

    def _put_named(self, target: Path, data: bytes, key: str, *, overwrite: bool, durable: bool) -> None:
        with self._unfinished(target, key, overwrite=overwrite, durable=durable) as unfinished:
            _write(unfinished, data, durable=durable)

    @contextlib.contextmanager
    def _unfinished(self, target: Path, key: str, *, overwrite: bool, durable: bool) -> Iterator[Path]:
        """Lend a hidden neighbour; once it is filled it takes the target's name, and it is gone otherwise."""
        unfinished = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            yield unfinished
            if overwrite:
                unfinished.replace(target)
            else:
                with self._only_once(key):
                    os.link(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
        if durable:
            _sync_folder(target.parent)

    @contextlib.contextmanager
    def _only_once(self, key: str) -> Iterator[None]:
        """Say that a name is taken, or that none can be given; the kernel decides races."""
        try:
            yield
        except FileExistsError as exc:
            raise ObjectExists(
                f"{self.name}/{key} was written already.",
                remedy="Read it instead; it is never overwritten.",
                bucket=self.name,
                key=key,
            ) from exc
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            raise StorageFault(
                f"The file system of {self._folder} has no hard links, which write-once files need.",
                remedy="Set BRIGHTRUN_HOME to a folder on an ordinary local disk.",
                bucket=self.name,
                key=key,
            ) from exc

    @contextlib.contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        """Turn what the operating system refuses into a StorageFault that says what to do."""
        try:
            yield
        except OSError as exc:
            raise self._fault(exc, key) from exc

    def _fault(self, exc: OSError, key: str) -> StorageFault:
        if exc.errno in _FULL:
            return self._full(key, "it has no room for this file")
        reason = exc.strerror or type(exc).__name__
        message = f"The folder {self._folder} cannot be used: {reason}."
        if exc.errno in _FORBIDDEN:
            remedy = f"Give this user the right to write there ({self._folder}), or set BRIGHTRUN_HOME."
        elif exc.errno == errno.EROFS:
            remedy = "It is mounted read-only: mount it for writing, or set BRIGHTRUN_HOME elsewhere."
        else:
            remedy = "See that the disk is there and sound, or set BRIGHTRUN_HOME elsewhere."
        return StorageFault(message, remedy=remedy, bucket=self.name, key=key)

    def _full(self, key: str, reason: str) -> StorageFault:
        return StorageFault(
            f"The disk of {self._folder} is full: {reason}.",
            remedy="Free some space, or set BRIGHTRUN_HOME to a larger disk; then try again.",
            bucket=self.name,
            key=key,
        )

    def _missing(self, key: str) -> ObjectMissing:
        return ObjectMissing(
            f"There is no object {self.name}/{key}.",
            remedy="It was deleted, or the data folder is another one: see BRIGHTRUN_HOME.",
            bucket=self.name,
            key=key,
        )


class _Room:
    """A file without a name; whoever forgets it gives it back."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._closing = weakref.finalize(self, os.close, handle)

    def close(self) -> None:
        self._closing()


def _write(path: Path, data: bytes, *, durable: bool) -> None:
    try:
        handle = os.open(path, _OPEN_FLAGS, 0o600)
    except FileNotFoundError:
        _make_folder(path.parent)
        handle = os.open(path, _OPEN_FLAGS, 0o600)
    try:
        _fill(handle, data, durable=durable)
    finally:
        os.close(handle)


def _fill(handle: int, data: bytes, *, durable: bool) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    if durable:
        os.fsync(handle)


def _name(handle: int, name: str, folder: int, *, overwrite: bool) -> None:
    """Give a file without a name one; where the name is taken, by way of another that is renamed at once."""
    source = f"/proc/self/fd/{handle}"
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        if not overwrite:
            raise
        unfinished = f".{uuid.uuid4().hex}.part"
        os.link(source, unfinished, dst_dir_fd=folder, follow_symlinks=True)
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)


@contextlib.contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        _make_folder(path)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def _make_folder(path: Path) -> None:
    """Make a folder and those above it, each one safe against a power cut."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder; NTFS journals names itself
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _objects(path: Path, prefix: str) -> Iterator[str]:
    """Yield the keys below a folder; links and unfinished files are no objects."""
    try:
        entries = list(os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _objects(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name
