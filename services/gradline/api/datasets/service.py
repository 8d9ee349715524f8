"""What is done with data sets."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import anyio
import anyio.from_thread
import anyio.to_thread

from gradline.api.datasets.schemas import DatasetFilter, DatasetPage, DatasetView, UploadQuery
from gradline.api.deps import Services
from gradline.api.paging import decode_cursor, page
from gradline.db.datasets import NewDataset, StoredDataset
from gradline.errors import TooLarge
from gradline.parquet_tables import n_parquet_cells
from gradline.storage import BLOCK_BYTES, Stored
from gradline.tables import Format, Profile, profile
from gradline.unpacked_tables import Unpacking, kept_path

_reading = anyio.CapacityLimiter(2)
"""Tables profiled at once: each takes a processor, and some memory for blocks and distinct values."""
UNPACKED = 8
"""How many times the largest upload a Parquet file may be once it is unpacked."""


async def upload(
    services: Services, owner: str, asked: UploadQuery, blocks: AsyncIterator[bytes], declared_bytes: int | None
) -> tuple[DatasetView, bool]:
    """Store the bytes as they come, read them as a table, then name them; False where the owner had them already."""
    max_bytes = services.settings.upload_max_bytes
    if declared_bytes is not None and declared_bytes > max_bytes:
        raise TooLarge(f"the upload has {declared_bytes} bytes; the limit is {max_bytes} (GRADLINE_UPLOAD_MAX_BYTES)")
    stored = await anyio.to_thread.run_sync(services.store.put_stream, _in_thread(blocks), max_bytes)
    return await anyio.to_thread.run_sync(_add, services, owner, asked, stored, limiter=_reading)


def get(services: Services, owner: str, dataset_id: UUID) -> DatasetView:
    return _view(services.datasets.get(dataset_id, owner))


def list_datasets(services: Services, owner: str, asked: DatasetFilter) -> DatasetPage:
    before = decode_cursor(asked.cursor, {})
    found = services.datasets.list_datasets(owner, before=before, limit=asked.limit + 1)
    datasets, next_cursor = page(found, asked.limit, {}, lambda dataset: dataset.id)
    return DatasetPage(items=[_view(dataset) for dataset in datasets], next_cursor=next_cursor)


def delete(services: Services, owner: str, dataset_id: UUID) -> None:
    services.datasets.delete(dataset_id, owner)


def _in_thread(blocks: AsyncIterator[bytes]) -> Iterator[bytes]:
    """What arrives on the event loop, block by block, in a thread of it; the sender waits while we write."""
    while block := anyio.from_thread.run(_next_block, blocks):
        yield block


async def _next_block(blocks: AsyncIterator[bytes]) -> bytes:
    gathered = bytearray()
    async for block in blocks:
        gathered += block
        if len(gathered) >= BLOCK_BYTES:
            break
    return bytes(gathered)


def _add(services: Services, owner: str, asked: UploadQuery, stored: Stored) -> tuple[DatasetView, bool]:
    known = services.datasets.find_same(owner, stored.sha256, asked.format)
    if known is not None:
        return _view(known), False
    read = _profile(services, stored, asked.format)
    new = NewDataset(
        owner=owner,
        name=asked.name or stored.sha256[:12],
        format=asked.format,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        n_rows=read.n_rows,
        columns=read.columns,
    )
    dataset, is_new = services.datasets.add(new)
    return _view(dataset), is_new


def _profile(services: Services, stored: Stored, file_format: Format) -> Profile:
    max_bytes = UNPACKED * services.settings.upload_max_bytes
    path = services.store.local_path(stored.sha256)
    if path is None:
        with services.store.open(stored.sha256) as file:
            return profile(file, file_format, max_bytes)
    kept = kept_path(services.store, stored.sha256, n_parquet_cells(path)) if file_format == "parquet" else None
    if kept is None:
        return profile(path, file_format, max_bytes)
    with Unpacking(services.store, kept) as unpacking:
        read = profile(path, file_format, max_bytes, unpacking.add)
    unpacking.finish()
    return read


def _view(dataset: StoredDataset) -> DatasetView:
    return DatasetView.model_validate({name: getattr(dataset, name) for name in DatasetView.model_fields})
