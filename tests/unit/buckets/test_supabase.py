"""What is made of the answers Supabase's Storage gives."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from storage3 import SyncStorageClient

from brightrun.buckets.supabase import SupabaseBucket, connect_storage
from brightrun.domain.errors import ObjectExists, ObjectMissing, SetupFault, StorageFault
from tests.storage_api import PUBLISHABLE_KEY, SECRET_KEY, StorageApi


@pytest.fixture
def api() -> Iterator[StorageApi]:
    with StorageApi() as running:
        yield running


@pytest.fixture
def storage(api: StorageApi) -> Iterator[SyncStorageClient]:
    client = connect_storage(api.url, SECRET_KEY)
    yield client
    client.session.close()


@pytest.fixture
def bucket(storage: SyncStorageClient) -> SupabaseBucket:
    return SupabaseBucket(storage, "conversation-files")


def test_a_missing_bucket_is_not_a_missing_object(storage: SyncStorageClient) -> None:
    """A project without the migrations says that the bucket is missing, not that an answer is lost."""
    bucket = SupabaseBucket(storage, "never-made")
    for work in (
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b"x"),
        bucket.check,
        lambda: bucket.list(""),
    ):
        with pytest.raises(StorageFault, match=r"Bucket not found.*supabase db push") as caught:
            work()
        assert not isinstance(caught.value, ObjectMissing)
    with pytest.raises(StorageFault, match="Bucket not found"):
        bucket.exists("a")


def test_the_publishable_key_cannot_write(api: StorageApi) -> None:
    """With the publishable key the check names the key to use, and the key itself is in no message."""
    client = connect_storage(api.url, PUBLISHABLE_KEY)
    bucket = SupabaseBucket(client, "conversation-files")
    with pytest.raises(StorageFault, match="SUPABASE_SECRET_KEY") as caught:
        bucket.check()
    assert PUBLISHABLE_KEY not in f"{caught.value!r}{caught.value}"
    client.session.close()


def test_a_wrong_key_is_said(api: StorageApi) -> None:
    """A mistyped key is a StorageFault that names the setting."""
    client = connect_storage(api.url, "wrong")
    with pytest.raises(StorageFault, match="SUPABASE_SECRET_KEY"):
        SupabaseBucket(client, "conversation-files").check()
    client.session.close()


def test_limits_of_the_bucket_are_said(bucket: SupabaseBucket, api: StorageApi) -> None:
    """Too large an object, or a type the bucket does not take, is refused with what to change."""
    api.size_limit = 10
    with pytest.raises(StorageFault, match="size limit"):
        bucket.put("a.json", b"x" * 11)
    api.mime_types = ("image/png",)
    with pytest.raises(StorageFault, match="JSON and text"):
        bucket.put("a.json", b"x")


@pytest.mark.parametrize("fault", ["html", "drop"])
def test_an_unreachable_store_is_a_storage_fault(bucket: SupabaseBucket, api: StorageApi, fault: str) -> None:
    """A proxy's error page or a dropped connection never looks like a missing or an existing object."""
    bucket.put("a", b"x")
    api.fault = fault
    for work in (
        lambda: bucket.get("a"),
        lambda: bucket.put("b", b"x"),
        lambda: bucket.exists("a"),
        lambda: bucket.list(""),
        lambda: bucket.delete("a"),
        bucket.check,
    ):
        with pytest.raises(StorageFault) as caught:
            work()
        assert not isinstance(caught.value, ObjectMissing | ObjectExists)
        assert caught.value.remedy
    api.fault = None
    assert bucket.get("a") == b"x"


def test_nobody_listening_is_a_storage_fault() -> None:
    """A project that is paused or a wrong address is said as such."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = connect_storage(f"http://127.0.0.1:{free.getsockname()[1]}", SECRET_KEY)
        with pytest.raises(StorageFault, match="SUPABASE_URL"):
            SupabaseBucket(client, "conversation-files").get("a")
        client.session.close()


def test_an_empty_folders_placeholder_is_no_object(bucket: SupabaseBucket, api: StorageApi) -> None:
    """The placeholder files that Supabase's dashboard leaves behind are not listed as ours."""
    api.buckets["conversation-files"]["raw/.emptyFolderPlaceholder"] = b""
    bucket.put("raw/a.json", b"{}")
    assert bucket.list("") == ["raw/a.json"]


@pytest.mark.parametrize(
    ("url", "key"), [("", SECRET_KEY), ("project.supabase.co", SECRET_KEY), ("https://x", " ")]
)
def test_half_a_setting_is_a_setup_fault(url: str, key: str) -> None:
    """An address without a scheme or an empty key is said before any call."""
    with pytest.raises(SetupFault, match="SUPABASE_URL"):
        connect_storage(url, key)
