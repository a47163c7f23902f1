"""What every object store must do, whichever runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from brightrun.buckets.local import LocalBucket
from brightrun.buckets.supabase import SupabaseBucket, connect_storage
from brightrun.domain.bucket import CONVERSATION_FILES, Bucket
from brightrun.domain.errors import ObjectExists, ObjectMissing, StorageFault
from tests.storage_api import SECRET_KEY, StorageApi


@pytest.fixture(params=["local", "supabase"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    if request.param == "local":
        yield LocalBucket(tmp_path, CONVERSATION_FILES)
        return
    with StorageApi(largest_page=150) as api:
        storage = connect_storage(api.url, SECRET_KEY)
        try:
            yield SupabaseBucket(storage, CONVERSATION_FILES)
        finally:
            storage.session.close()


def test_returns_the_very_bytes(bucket: Bucket) -> None:
    """What was stored comes back byte for byte, whatever the bytes are."""
    data = bytes(range(256)) * 300 + b"\r\n--x\r\n\r\n\n"
    bucket.put("raw/a.json", data)
    assert bucket.get("raw/a.json") == data


def test_keeps_an_empty_object(bucket: Bucket) -> None:
    """An empty answer is kept as an empty object, not as none."""
    bucket.put("raw/empty.json", b"")
    assert bucket.get("raw/empty.json") == b""
    assert bucket.exists("raw/empty.json")


def test_writes_once(bucket: Bucket) -> None:
    """A paid answer is never overwritten by another one at the same key."""
    bucket.put("raw/a.json", b"first")
    with pytest.raises(ObjectExists, match="written already"):
        bucket.put("raw/a.json", b"second")
    assert bucket.get("raw/a.json") == b"first"


def test_overwrites_when_asked(bucket: Bucket) -> None:
    """What can be derived again may be replaced, by shorter bytes too."""
    bucket.put("final/a.json", b"a long first version")
    bucket.put("final/a.json", b"short", overwrite=True, durable=False)
    bucket.put("final/new.json", b"new", overwrite=True)
    assert bucket.get("final/a.json") == b"short"
    assert bucket.get("final/new.json") == b"new"


def test_one_of_many_writers_wins(bucket: Bucket) -> None:
    """Of ten writers of one key at once exactly one succeeds, and its bytes are whole."""
    won: list[bytes] = []
    lost: list[ObjectExists] = []
    start = threading.Barrier(10)

    def write(mine: bytes) -> None:
        start.wait()
        try:
            bucket.put("raw/race.json", mine)
            won.append(mine)
        except ObjectExists as exc:
            lost.append(exc)

    threads = [threading.Thread(target=write, args=(str(n).encode() * 50_000,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 9
    assert bucket.get("raw/race.json") == won[0]
    assert bucket.list("") == ["raw/race.json"]


def test_stores_a_file(bucket: Bucket, tmp_path: Path) -> None:
    """A file of a dataset arrives byte for byte, and may be put there again when asked."""
    source = tmp_path / "train.jsonl"
    source.write_bytes(b"line\n" * 50_000)
    bucket.put_file("set/messages/train.jsonl", source)
    assert bucket.get("set/messages/train.jsonl") == source.read_bytes()
    with pytest.raises(ObjectExists):
        bucket.put_file("set/messages/train.jsonl", source)
    source.write_bytes(b"other\n")
    bucket.put_file("set/messages/train.jsonl", source, overwrite=True)
    assert bucket.get("set/messages/train.jsonl") == b"other\n"


def test_names_what_is_missing(bucket: Bucket) -> None:
    """Asking for an object that is not there says so, and its folder is no object either."""
    bucket.put("raw/job/a.json", b"x")
    assert not bucket.exists("raw/none.json")
    assert not bucket.exists("raw/job")
    for key in ("raw/none.json", "raw/job", "none/at/all.json"):
        with pytest.raises(ObjectMissing, match="no object"):
            bucket.get(key)


def test_lists_everything_below_a_folder(bucket: Bucket) -> None:
    """Every key below a folder is listed, sorted, beyond one page and through folders."""
    keys = sorted(f"jobs/{n % 3}/item-{n:04}.json" for n in range(330))
    for key in [*keys, "jobs-of-another/x.json", "top.json"]:
        bucket.put(key, b"{}", durable=False)
    assert bucket.list("jobs") == keys
    assert bucket.list("jobs/") == keys
    assert bucket.list("jobs/1") == [key for key in keys if key.startswith("jobs/1/")]
    assert bucket.list("") == sorted([*keys, "jobs-of-another/x.json", "top.json"])
    assert bucket.list("none") == []
    assert bucket.list("top.json") == []


def test_deletes(bucket: Bucket) -> None:
    """A deleted object is gone, and deleting it again is no error."""
    bucket.put("raw/a.json", b"x")
    bucket.delete("raw/a.json")
    bucket.delete("raw/a.json")
    bucket.delete("never/there.json")
    assert not bucket.exists("raw/a.json")
    bucket.put("raw/a.json", b"again")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/etc/passwd", "../x", "a/../b", "a/./b", "a//b", "a/", ".hidden", "a\0b", "a b", "ä"),
        *("a|b", "~", "%2e%2e/x", "a\\b", "x" * 201, "/".join(["x" * 99] * 10), "a\n", "C:\\x"),
    ],
)
def test_refuses_keys_that_are_no_keys(bucket: Bucket, key: str) -> None:
    """A key that could leave the bucket, or that one store takes and another does not, is refused."""
    for call in (bucket.get, bucket.exists, bucket.delete, lambda bad: bucket.put(bad, b"x")):
        with pytest.raises(StorageFault, match="not an object key"):
            call(key)
    assert bucket.list("") == []


def test_check_leaves_nothing_behind(bucket: Bucket) -> None:
    """The System page can ask as often as it likes whether the bucket can be written to."""
    bucket.check()
    bucket.check()
    assert bucket.list("") == []
    assert bucket.name == CONVERSATION_FILES


def test_keys_built_from_uuids_work(bucket: Bucket) -> None:
    """The keys the services build are keys."""
    key = f"raw/{uuid4()}/{uuid4()}/1.json"
    bucket.put(key, b"{}")
    assert bucket.list("raw") == [key]
