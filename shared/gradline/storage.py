"""The artifact store: bytes under their SHA-256, on anything fsspec can reach.

A file is written under a temporary name, made durable, then renamed to its hash; a row names it afterwards. So a file
without a row does not exist for anybody, and writing the same bytes twice is harmless.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec

from gradline.errors import DependencyDown, TooLarge

BLOCK_BYTES = 1 << 20
N_WRITERS = 4
"""Files that one process writes at once: the disk makes several durable in little more than the time of one."""


@dataclass(frozen=True)
class Stored:
    sha256: str
    size_bytes: int


class ArtifactStore:
    """Content-addressed files under one fsspec URL."""

    def __init__(self, url: str, *, derived_max_bytes: int = 0) -> None:
        """`derived_max_bytes`: the most that may be kept of what is derived from one file."""
        self._fs, self._root = fsspec.url_to_fs(url)
        self._derived_max_bytes = derived_max_bytes
        self._is_local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._folders: set[str] = set()
        """Those that this object has made."""
        self._writers = ThreadPoolExecutor(N_WRITERS, "store")  # starts none before the first file

    def put(self, data: bytes) -> Stored:
        return self.put_stream([data])

    def put_later(self, data: bytes) -> Future[Stored]:
        """`put` in another thread. Name the file in a row only once the result is there."""
        return self._writers.submit(self.put, data)

    def put_stream(self, blocks: Iterable[bytes], max_bytes: int | None = None) -> Stored:
        """Store what the blocks hold. Raises TooLarge past `max_bytes`, DependencyDown where the store fails."""
        temporary = f"{self._root}/incoming/{uuid4().hex}"
        digest, size = hashlib.sha256(), 0
        try:
            self._make_folder(f"{self._root}/incoming")
            with self._create(temporary) as file:
                for block in blocks:
                    size += len(block)
                    if max_bytes is not None and size > max_bytes:
                        raise TooLarge(
                            f"the upload is larger than the limit of {max_bytes} bytes (GRADLINE_UPLOAD_MAX_BYTES)"
                        )
                    digest.update(block)
                    file.write(block)
                if self._is_local:
                    file.flush()
                    os.fsync(file.fileno())
            stored = Stored(digest.hexdigest(), size)
            self._rename(temporary, self._path(stored.sha256))
        except BaseException as error:
            if self._fs.exists(temporary):
                self._fs.rm_file(temporary)
            if isinstance(error, OSError):
                raise DependencyDown(f"the artifact store cannot be written: {error}") from error
            raise
        return stored

    def open(self, sha256: str) -> BinaryIO:
        """Raises DependencyDown where the file is missing or the store is away."""
        try:
            file: BinaryIO = self._fs.open(self._path(sha256), "rb")
        except OSError as error:
            raise DependencyDown(f"the artifact store cannot read {sha256}: {error}") from error
        return file

    def get(self, sha256: str) -> bytes:
        """The bytes, checked against their hash: damage raises DependencyDown rather than being passed on."""
        with self.open(sha256) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DependencyDown(f"the file {sha256} in the artifact store is damaged")
        return data

    def blocks(self, sha256: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, `length` of them, in blocks."""
        with self.open(sha256) as file:
            file.seek(start)
            left = length
            while left is None or left > 0:
                block = file.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
                if not block:
                    return
                if left is not None:
                    left -= len(block)
                yield block

    def local_path(self, sha256: str) -> str | None:
        """A path for readers that map files into memory; None where the store is not a local folder."""
        return self._path(sha256) if self._is_local else None

    def scratch_folder(self) -> str | None:
        """A folder on the store's own disk for files without a name; None where the store is not a local folder."""
        if not self._is_local:
            return None
        self._make_folder(f"{self._root}/incoming")
        return f"{self._root}/incoming"

    def derived_path(self, sha256: str, kind: str, n_bytes: int) -> str | None:
        """Where something of about `n_bytes` that was derived from a file is kept, or may be by `keep_derived`.

        No row names it: it is gone when it was not written or touched for as long as an orphan lives, and can be made
        again. None where nothing is kept: it is too large, takes more than half of the disk's free room, or the store
        is not a local folder.
        """
        folder = self.scratch_folder() if n_bytes <= self._derived_max_bytes else None
        if folder is None:
            return None
        path = f"{self._path(sha256)}.{kind}"
        return path if os.path.exists(path) or 2 * n_bytes <= shutil.disk_usage(folder).free else None

    def keep_derived(self, temporary: str, path: str) -> Future[None]:
        """Make a whole file of the scratch folder durable and give it its name, in another thread."""
        return self._writers.submit(self._keep, temporary, path)

    def _keep(self, temporary: str, path: str) -> None:
        try:
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            self._rename(temporary, path)
        except OSError:
            self._fs.rm_file(temporary)
            raise

    def list_older_than(self, moment: datetime) -> Iterator[str]:
        """Names of files last written before `moment`: what the conductor may collect if no row names them."""
        for folder in self._fs.glob(f"{self._root}/[0-9a-f][0-9a-f]"):
            for entry in self._fs.ls(folder, detail=True):
                if _modified_at(entry) < moment:
                    yield entry["name"].rsplit("/", 1)[-1]

    def delete(self, sha256: str) -> None:
        """With what was derived from it."""
        path = self._path(sha256)
        for name in [path, *self._fs.glob(f"{path}.*")]:
            if self._fs.exists(name):
                self._fs.rm_file(name)

    def delete_unfinished(self, moment: datetime) -> int:
        """Delete what was begun and not written to since `moment`: its writer is dead. Returns how many files."""
        folder = f"{self._root}/incoming"
        entries = self._fs.ls(folder, detail=True) if self._fs.exists(folder) else []
        left = [entry["name"] for entry in entries if _modified_at(entry) < moment]
        for path in left:
            self._fs.rm_file(path)
        return len(left)

    def _create(self, path: str) -> BinaryIO:
        file: BinaryIO = open(path, "xb") if self._is_local else self._fs.open(path, "wb")  # noqa: SIM115
        return file

    def _path(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _make_folder(self, path: str) -> None:
        if path not in self._folders:
            self._fs.makedirs(path, exist_ok=True)
            self._folders.add(path)

    def _rename(self, temporary: str, final: str) -> None:
        folder = final.rsplit("/", 1)[0]
        self._make_folder(folder)
        if not self._is_local:
            self._fs.mv(temporary, final)
            return
        os.replace(temporary, final)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _modified_at(entry: dict[str, Any]) -> datetime:
    moment = entry.get("mtime") or entry.get("LastModified") or entry.get("created") or 0
    return moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
