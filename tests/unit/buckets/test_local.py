"""What the local store does with a hostile or failing disk."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.buckets.local import LocalBucket
from brightrun.domain.errors import ObjectMissing, StorageFault

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits, users and links of POSIX")


def in_a_process(work: Callable[[], str]) -> str:
    """Run in a forked child, so that limits and rights given up do not stay with the tests."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        text = "nothing came back"
        try:
            text = work()
        finally:
            os.write(write, text.encode())
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def attempt(work: Callable[[], object]) -> str:
    try:
        work()
    except StorageFault as exc:
        return f"{type(exc).__name__}: {exc}"
    return "no fault"


@settings(max_examples=2000, deadline=None)
@given(st.text(alphabet="./ab\\\0-%~é", max_size=14), st.binary(max_size=3))
def test_no_key_writes_outside_the_bucket(key: str, data: bytes) -> None:
    """No key, however crooked, makes a file anywhere but inside the bucket's own folder."""
    with tempfile.TemporaryDirectory() as folder:
        bucket = LocalBucket(Path(folder) / "root", "box")
        attempt(lambda: bucket.put(key, data, durable=False))
        outside = [path for path in Path(folder).rglob("*") if "box" not in path.relative_to(folder).parts]
        assert outside in ([], [Path(folder) / "root"])


def test_a_planted_link_does_not_lead_outside(tmp_path: Path) -> None:
    """A symbolic link inside the bucket gives no access to what lies outside it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    bucket = LocalBucket(tmp_path, "box")
    bucket.put("real/a", b"a")
    (tmp_path / "box" / "way").symlink_to(outside)
    (tmp_path / "box" / "real" / "leaf").symlink_to(outside / "secret")
    for work in (
        lambda: bucket.get("way/secret"),
        lambda: bucket.exists("way/secret"),
        lambda: bucket.put("way/new", b"x"),
        lambda: bucket.delete("way/secret"),
        lambda: bucket.get("real/leaf"),
    ):
        with pytest.raises(StorageFault, match="symbolic link"):
            work()
    assert bucket.list("") == ["real/a"]
    assert [path.name for path in outside.iterdir()] == ["secret"]
    bucket.put("real/leaf", b"mine", overwrite=True)
    assert (outside / "secret").read_text() == "secret"


def test_the_data_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """A data folder that lives on another disk behind a link works."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    bucket = LocalBucket(tmp_path / "home", "box")
    bucket.put("a/b", b"x")
    assert bucket.list("") == ["a/b"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """On a full disk the message says so, and no half-written object or rubbish stays behind."""
    bucket = LocalBucket(tmp_path, "box")
    bucket.put("raw/small", b"x")

    def work() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return attempt(lambda: bucket.put("raw/large", b"x" * 100_000))

    assert "is full" in in_a_process(work)
    assert [path.name for path in (tmp_path / "box" / "raw").iterdir()] == ["small"]


def test_a_folder_without_rights_is_said(tmp_path: Path) -> None:
    """Without the right to write there, the message names the folder and what to do."""
    tmp_path.chmod(0o755)
    bucket = LocalBucket(tmp_path, "box")
    bucket.put("raw/a", b"x")

    def work() -> str:
        if os.geteuid() == 0:  # root may write anywhere
            os.setuid(65534)
        return attempt(lambda: bucket.put("raw/b", b"x")) + attempt(bucket.check)

    (tmp_path / "box" / "raw").chmod(0o500)
    (tmp_path / "box").chmod(0o500)
    try:
        said = in_a_process(work)
    finally:
        (tmp_path / "box").chmod(0o700)
        (tmp_path / "box" / "raw").chmod(0o700)
    assert said.count("StorageFault") == 2
    assert "right to write" in said
    assert "BRIGHTRUN_HOME" in said


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    """A data folder that is a file is a StorageFault with a remedy, not a crash."""
    (tmp_path / "home").write_text("a file")
    said = attempt(LocalBucket(tmp_path / "home", "box").check)
    assert "StorageFault" in said
    assert "BRIGHTRUN_HOME" in said


def test_unfinished_files_are_no_objects(tmp_path: Path) -> None:
    """What a killed process left behind is never listed, read or published."""
    bucket = LocalBucket(tmp_path, "box")
    bucket.put("raw/a", b"x")
    (tmp_path / "box" / "raw" / ".0123.part").write_bytes(b"half")
    assert bucket.list("") == ["raw/a"]
    with pytest.raises(StorageFault):
        bucket.get("raw/.0123.part")
    bucket.delete("raw/a")
    with pytest.raises(ObjectMissing):
        bucket.get("raw/a")


def test_objects_are_private_to_their_owner(tmp_path: Path) -> None:
    """Other users of the machine cannot read people's conversations."""
    LocalBucket(tmp_path, "box").put("raw/a", b"x")
    for path in (tmp_path / "box").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def _write_forever(folder: Path, number: int) -> None:
    bucket = LocalBucket(folder, "box")
    for count in range(1_000_000):
        bucket.put(f"raw/{number}/{count}", b"x" * 200_000 + b"end", durable=False)


def test_a_kill_never_shows_half_an_object(tmp_path: Path) -> None:
    """However often the process is killed while it writes, every object that is there is whole."""
    spawn = multiprocessing.get_context("fork")
    for number in range(15):
        child = spawn.Process(target=_write_forever, args=(tmp_path, number))
        child.start()
        deadline = time.monotonic() + 5
        while not (tmp_path / "box" / "raw" / str(number) / "0").exists():
            assert time.monotonic() < deadline, "the child wrote nothing"
            time.sleep(0.001)
        time.sleep(number / 1000)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    bucket = LocalBucket(tmp_path, "box")
    keys = bucket.list("raw")
    assert len(keys) >= 15
    assert all(bucket.get(key).endswith(b"xend") and len(bucket.get(key)) == 200_003 for key in keys)


def test_a_durable_put_waits_for_file_and_folder_once(tmp_path: Path) -> None:
    """Keeping a paid answer costs two waits for the disk, and a derived file none."""
    program = (
        "import os, sys, pathlib\n"
        "from brightrun.buckets.local import LocalBucket\n"
        "synced = []\n"
        "real = os.fsync\n"
        "os.fsync = lambda handle: (synced.append(handle), real(handle))[1]\n"
        "bucket = LocalBucket(pathlib.Path(sys.argv[1]), 'box')\n"
        "bucket.put('raw/warm', b'x')\n"
        "synced.clear(); bucket.put('raw/a', b'x'); print(len(synced))\n"
        "synced.clear(); bucket.put('raw/b', b'x', durable=False); print(len(synced))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", "0"]
