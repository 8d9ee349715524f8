"""Uploaded tables: what a spec makes of their columns, read from the store block by block.

Where all rows train, one reading gives all. Else the few columns with a role come first; they say which rows train.
Then the features are read once. Every row is written to where it will stay.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from gradline.column_roles import (
    Profiled,
    check_columns,
    empty_columns,
    features_of,
    is_number,
    lacks_values,
    n_without_target,
    noted_features,
)
from gradline.data.gathering import Gathering
from gradline.data.matrix import MAX_SPARSE_DENSITY, MIN_SPARSE_FEATURES
from gradline.data.roles import roles_of
from gradline.data.room import Room
from gradline.data.sample import Numbers, Roles, Sample, spelled_singles
from gradline.errors import InvalidInput, PermanentError
from gradline.scoring import spell
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec
from gradline.storage import ArtifactStore
from gradline.table_blocks import read_blocks, single_columns
from gradline.table_formats import BLOCK_BYTES
from gradline.tables import Column
from gradline.unpacked_tables import Unpacked, Unpacking, find_unpacked, kept_path


class UploadedFile(Profiled, Protocol):
    """What is known of an upload: a row of `datasets`."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class Upload:
    """A file and the roles that a spec gives its columns. Raises PermanentError where they do not fit."""

    def __init__(self, spec: LogisticRegressionSpec, file: UploadedFile, store: ArtifactStore) -> None:
        assert isinstance(spec.data, Dataset)  # noqa: S101  the caller looked
        self._data, self._family, self._file, self._store = spec.data, spec.model.family, file, store
        self._types = {column["name"]: column["type"] for column in file.columns}
        try:
            check_columns(spec, file)
        except InvalidInput as error:
            raise _bad_data(error) from error
        self._unpacked: Unpacked | None = None
        self._features = features_of(spec.data, file.columns)
        self._holds_out = spec.split.validation_fraction > 0
        self._may_not_lack = spec.preprocess.missing == "error"
        self.left_out = empty_columns(spec.data, file.columns)
        """Columns without any value, which are no features."""
        self.noted = noted_features(spec.data, file.columns)
        self.n_without_target = n_without_target(spec.data, file.columns)
        """Rows that are in no part."""

    @property
    def n(self) -> int:
        return self._file.n_rows

    @property
    def n_classes(self) -> int | None:
        """Distinct values of the target; None where there are too many to be counted."""
        n_distinct: int | None = self._target["n_distinct"]
        return n_distinct

    @property
    def all_rows_train(self) -> bool:
        """Whether that can be said before any is read."""
        return self._data.weights is None and not self._holds_out and self.n_without_target == 0

    @property
    def _target(self) -> Column:
        return next(column for column in self._file.columns if column["name"] == self._data.target)

    def roles(self) -> Roles:
        return self._roles_of(self._blocks(self._role_names))

    @property
    def _role_names(self) -> list[str]:
        return list(self._data.roles.values())

    def _roles_of(self, blocks: Iterable[pa.RecordBatch]) -> Roles:
        return roles_of(pa.Table.from_batches(blocks), self._data, self._family)

    def fits_float32(self) -> bool:
        """Whether float32 holds every feature exactly as the file has it."""
        numbers = {n for n in self._features if not self._is_text(n)}
        if not numbers.isdisjoint(self._data.types):
            return False
        whole = {c["name"] for c in self._file.columns if c["type"] == "boolean" or _is_exact(c)}
        path = self._store.local_path(self._file.sha256)
        return numbers <= whole or (path is not None and numbers <= whole | single_columns(path, self._file.format))

    def may_be_sparse(self, max_levels: int) -> bool:
        """Whether levels may make many features, few of whose entries are not 0, as far as a profile can tell."""
        features = set(self._features)
        widths = [self._width(c, max_levels) for c in self._file.columns if c["name"] in features]
        return sum(widths) >= MIN_SPARSE_FEATURES and len(widths) < MAX_SPARSE_DENSITY * sum(widths)

    def _width(self, column: Column, max_levels: int) -> int:
        """Features that a column makes at most."""
        if not self._is_text(column["name"]):
            return 1
        n_levels: int | None = column["n_distinct"]
        return (max_levels if n_levels is None else min(n_levels, max_levels)) - 1

    def whole(self, room: Room, dtype: torch.dtype, *, is_shifted: bool) -> Sample:
        """All rows, from one reading; the columns with a role are kept as they pass by."""
        gathering = self._gathering(self.n, room, dtype, is_shifted=is_shifted)
        of_roles: list[pa.RecordBatch] = []
        start = 0
        for block in self._blocks([*self._features, *self._role_names]):
            of_roles.append(block.select(self._role_names))
            gathering.add(self._as_spec_says(block, start), None)
            room.let_go()
            start += block.num_rows
        room.give_back_blocks()
        sample = self._sample(gathering, self._roles_of(of_roles))
        of_roles.clear()
        room.give_back_blocks()
        return sample

    def samples(
        self, roles: Roles, parts: list[torch.Tensor], room: Room, dtype: torch.dtype, *, is_shifted: bool
    ) -> list[Sample]:
        """One of each part, which are row numbers in rising order.

        `is_shifted`: numbers may be kept less a constant, because they will be centred.
        """
        gatherings = [self._gathering(len(part_r), room, dtype, is_shifted=is_shifted) for part_r in parts]
        rows = [part_r.numpy() for part_r in parts]
        start = 0
        for block in self._blocks(self._features):
            read = self._as_spec_says(block, start)
            for gathering, part_r in zip(gatherings, rows, strict=True):
                first, last = np.searchsorted(part_r, [start, start + block.num_rows])
                if last > first:
                    is_all = last - first == block.num_rows
                    gathering.add(read, None if is_all else part_r[first:last] - start)
            room.let_go()
            start += block.num_rows
        room.give_back_blocks()
        samples = [self._sample(g, roles.rows(part_r)) for g, part_r in zip(gatherings, parts, strict=True)]
        if self.n_without_target and self._may_not_lack:
            _check_values(samples)
        return samples

    def _gathering(self, n: int, room: Room, dtype: torch.dtype, *, is_shifted: bool) -> Gathering:
        texts = [name for name in self._features if self._is_text(name)]
        numbers = [name for name in self._features if name not in texts]
        codes_tn = room.empty(len(texts), n, torch.int32)
        return Gathering(room.empty(n, len(numbers) + 1, dtype), numbers, texts, codes_tn, is_shifted=is_shifted)

    def _sample(self, gathering: Gathering, roles: Roles) -> Sample:
        booleans = frozenset(name for name in self._features if self._types[name] == "boolean")
        spelled = frozenset(name for name in self._features if self._types[name] != "text")
        numbers = self._with_singles(gathering.numbers(booleans))
        return Sample(self._file.name, self._features, numbers, gathering.texts(self._order, spelled), roles)

    def _with_singles(self, numbers: Numbers) -> Numbers:
        path = self._store.local_path(self._file.sha256)
        if self._file.format == "csv":
            return replace(numbers, singles=spelled_singles(numbers))
        return numbers if path is None else replace(numbers, singles=single_columns(path, self._file.format))

    def _blocks(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        types = {name: self._types[name] for name in names}
        path = self._store.local_path(self._file.sha256)
        try:
            if path is not None:
                self._unpacked = self._unpacked or self._unpack(path, names)
                if self._unpacked is not None:
                    yield from self._unpacked.blocks(names)
                else:
                    yield from read_blocks(path, self._file.format, types, BLOCK_BYTES)
                return
            with self._store.open(self._file.sha256) as file:
                yield from read_blocks(file, self._file.format, types, BLOCK_BYTES)
        except InvalidInput as error:
            raise _bad_data(error) from error
        except FileNotFoundError as error:
            reason = f"the file of data set {self._file.name!r} is gone from the store"
            raise PermanentError(reason, code="bad_data") from error

    def _unpack(self, path: str, names: list[str]) -> Unpacked | None:
        """All columns, unpacked now where they were not before; None where that does not pay, or nothing is kept."""
        file, csv_types = self._file, self._types if self._file.format == "csv" else None
        kept = kept_path(self._store, file.sha256, file.n_rows * len(self._types), csv_types)
        found = None if kept is None else find_unpacked(kept)
        if kept is None or found is not None:
            return found
        if csv_types is None and 2 * len(names) < len(self._types):  # most columns need not be read
            return None
        with Unpacking(self._store, kept) as unpacking:
            for block in read_blocks(path, file.format, self._types, BLOCK_BYTES):
                unpacking.add(block)
        return unpacking.finish()

    def _is_text(self, name: str) -> bool:
        wanted = self._data.types.get(name)
        return self._types[name] == "text" if wanted is None else wanted == "categorical"

    def _order(self, name: str) -> Callable[[str], Any]:
        """Levels that were numbers are sorted as numbers."""
        return float if self._types[name] in ("integer", "number") else str

    def _as_spec_says(self, block: pa.RecordBatch, start: int) -> pa.RecordBatch:
        """Columns whose type the spec overrides are read anew."""
        for name, wanted in self._data.types.items():
            at, is_text = block.schema.get_field_index(name), self._types[name] == "text"
            if wanted == "categorical" and not is_text:
                block = block.set_column(at, name, _spelled(block.column(at)))
            elif wanted == "numeric" and is_text:
                block = block.set_column(at, name, _parsed(block.column(at), name, start))
        return block


def _check_values(samples: list[Sample]) -> None:
    """Rows without a target may lack features too, and a profile does not tell which rows do."""
    for name in samples[0].order:
        n = sum(sample.n_missing(name) for sample in samples)
        if n:
            raise PermanentError(f"spec.data.features: {lacks_values(name, n)}", code="bad_data")


def _spelled(column: pa.Array) -> pa.Array:
    """Numbers and booleans as the names of levels, as a model spells those that it is sent."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    encoded = pc.dictionary_encode(column)
    names = pa.array([spell(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return names.take(encoded.indices)


def _is_exact(column: Column) -> bool:
    """Whole numbers that float32 can count to."""
    return bool(column["type"] == "integer" and max(-column["min"], column["max"]) <= 2**24)


def _parsed(column: pa.Array, name: str, start: int) -> pa.Array:
    try:
        return pc.cast(column, pa.float64())
    except pa.ArrowInvalid as error:
        row, value = next((i, v) for i, v in enumerate(column.to_pylist()) if v is not None and not is_number(v))
        reason = f"column {name!r} is {value!r} in data row {start + row + 1}, which spec.data.types calls a number"
        raise PermanentError(reason, code="bad_data") from error


def _bad_data(error: InvalidInput) -> PermanentError:
    return PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults])
