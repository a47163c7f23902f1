"""A bucket of Supabase Storage, by storage3."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import httpx
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError
from storage3.utils import StorageException

from brightrun.buckets.keys import folder, segments
from brightrun.domain.address import checked_server, is_encrypted
from brightrun.domain.errors import ObjectExists, ObjectMissing, SetupFault, StorageFault

_PAGE = 1000
_CONTENT_TYPES = {"json": "application/json", "txt": "text/plain;charset=UTF-8"}


def connect_storage(url: str, key: str, *, timeout: float = 30.0) -> SyncStorageClient:
    """Return a Storage client for the project at `url`, safe to share between threads.

    It has an HTTP client of its own without HTTP/2: the default one breaks when threads share it.
    """
    url, key = checked_server(url, "SUPABASE_URL", secret="SUPABASE_SECRET_KEY"), key.strip()
    if not key:
        raise SetupFault(
            "Supabase Storage needs the project's secret key, beside its address.",
            remedy="Set SUPABASE_SECRET_KEY beside SUPABASE_URL; it stands in the project's API settings.",
        )
    return SyncStorageClient(
        f"{url}/storage/v1/",
        {"apikey": key, "Authorization": f"Bearer {key}"},
        http_client=httpx.Client(
            http2=False,
            verify=is_encrypted(url),
            timeout=timeout,
            follow_redirects=False,
            event_hooks={"response": [_refuse_redirect]},
        ),
    )


class _Redirected(Exception):
    """The status of a redirect, which is not followed."""


def _refuse_redirect(response: httpx.Response) -> None:
    if response.is_redirect:
        raise _Redirected(str(response.status_code))


class SupabaseBucket:
    """Objects in one bucket of a Supabase project; uploads are whole or not at all."""

    def __init__(self, storage: SyncStorageClient, name: str) -> None:
        (self.name,) = segments(name)
        self._storage = storage

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        """Upload; `durable` changes nothing here, because Storage answers once it has the object."""
        with self._faults(key) as path:
            self._upload(path, data, overwrite=overwrite)

    def put_file(self, key: str, source: os.PathLike[str], *, overwrite: bool = False) -> None:
        with self._faults(key) as path, Path(source).open("rb") as file:
            self._upload(path, file, overwrite=overwrite)

    def get(self, key: str) -> bytes:
        with self._faults(key) as path:
            return self._storage.from_(self.name).download(path)

    def exists(self, key: str) -> bool:
        with self._faults(key) as path:
            return self._storage.from_(self.name).exists(path)

    def list(self, prefix: str) -> list[str]:
        found: list[str] = []
        folders = ["/".join(folder(prefix, bucket=self.name))]
        while folders:
            path = folders.pop()
            for entry in self._entries(path):
                name = str(entry["name"])
                if name.startswith("."):  # Storage's dashboard keeps empty folders with such a file
                    continue
                key = f"{path}/{name}" if path else name
                (found if entry.get("id") else folders).append(key)
        return sorted(found)

    def delete(self, key: str) -> None:
        with self._faults(key) as path:
            self._storage.from_(self.name).remove([path])

    def check(self) -> None:
        probe = f"check-{uuid.uuid4().hex}.txt"
        self.put(probe, b"ok")
        self.delete(probe)

    def _entries(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield what lies directly in a folder, page after page: one page is never all."""
        offset = 0
        while True:
            with self._faults(path or None):
                page = self._storage.from_(self.name).list(path, {"limit": _PAGE, "offset": offset})
            yield from page
            offset += len(page)
            if not page:
                return

    def _upload(self, path: str, data: bytes | BufferedReader, *, overwrite: bool) -> None:
        options = {
            "content-type": _CONTENT_TYPES.get(path.rpartition(".")[2], "application/octet-stream"),
            "upsert": "true" if overwrite else "false",  # as text: storage3 fails on a bool
        }
        self._storage.from_(self.name).upload(path, data, options)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _faults(self, key: str | None) -> Iterator[str]:
        """Check the key and turn the vendor's errors into ours."""
        path = "/".join(segments(key, bucket=self.name)) if key is not None else ""
        try:
            yield path
        except StorageApiError as exc:
            raise self._refused(exc, path) from exc
        except _Redirected as exc:
            raise StorageFault(
                f"The address in SUPABASE_URL answered {exc}, a redirect.",
                remedy="Set SUPABASE_URL to the address it leads to; a key does not follow redirects.",
                bucket=self.name,
                key=path,
            ) from exc
        except (httpx.HTTPError, StorageException, ValueError, KeyError, TypeError) as exc:
            # storage3 lets parse errors of an answer that is not Storage's own through as they are
            raise StorageFault(
                f"Supabase Storage could not be reached ({type(exc).__name__}).",
                remedy="See that SUPABASE_URL is right and the project is running; then try again.",
                bucket=self.name,
                key=path,
            ) from exc

    def _refused(self, exc: StorageApiError, path: str) -> StorageFault:
        status, where = str(exc.status), f"{self.name}/{path}"
        if status == "409" or exc.code == "Duplicate":
            return ObjectExists(
                f"{where} was written already.",
                remedy="Read it instead; it is never overwritten.",
                bucket=self.name,
                key=path,
            )
        if exc.code == "not_found":
            return ObjectMissing(
                f"There is no object {where}.",
                remedy="It was deleted, or the key may not read it: use the project's secret key.",
                bucket=self.name,
                key=path,
            )
        return StorageFault(
            f"Supabase Storage refused {where}: {exc.code} ({status}).",
            remedy=_REMEDIES.get(status, "See the project's Storage logs; then try again."),
            bucket=self.name,
            key=path,
        )


_REMEDIES = {
    "400": "See that the bucket exists: `supabase db push --remote` creates it.",
    "401": "Set SUPABASE_SECRET_KEY to the project's secret key.",
    "403": "Set SUPABASE_SECRET_KEY to the project's secret key; the publishable one may not write.",
    "404": "The bucket is missing: `supabase db push --remote` creates it.",
    "413": "Raise the bucket's file size limit.",
    "415": "Allow JSON and text files in the bucket.",
}
