"""Uploaded tables: the rows of a CSV or Parquet file and the roles that a spec gives its columns."""

import io
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gradline.data.sample import Block, NumericBlock, Sample, TextColumn
from gradline.errors import InvalidInput, PermanentError
from gradline.specs.logistic_regression import Dataset
from gradline.storage import ArtifactStore
from gradline.tables import check_columns, features_of, find_level, profile, read_table, type_name


class UploadedFile(Protocol):
    """What is known of an upload: a row of `datasets`."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> Any: ...
    @property
    def sha256(self) -> str: ...


def load_uploaded(spec: Dataset, file: UploadedFile, store: ArtifactStore, dtype: torch.dtype) -> Sample:
    """Raises PermanentError where the file or the roles of its columns do not fit."""
    source = store.local_path(file.sha256) or io.BytesIO(store.get(file.sha256))
    try:
        table = read_table(source, file.format)
        used = table.select(_used_columns(spec, table.column_names))
        check_columns(spec, profile(used))
    except InvalidInput as error:
        raise PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults]) from error
    except FileNotFoundError as error:
        raise PermanentError(f"the file of data set {file.name!r} is gone from the store", code="bad_data") from error
    return sample_of(used, spec, file.name, dtype)


def _used_columns(spec: Dataset, names: list[str]) -> list[str]:
    roles = {spec.target, spec.weights, *features_of(spec, names)}
    return [name for name in names if name in roles]


def sample_of(table: pa.Table, spec: Dataset, title: str, dtype: torch.dtype) -> Sample:
    """A checked table as a sample; rows of weight 0 are left out."""
    classes, class_n = _classes(table.column(spec.target), spec.positive_class)
    blocks = [_block(name, table.column(name), dtype) for name in features_of(spec, table.column_names)]
    if spec.weights is None:
        return Sample(title, blocks, class_n, classes)
    weight_n = _numbers(table.column(spec.weights), dtype)
    return Sample(title, blocks, class_n, classes, weight_n).rows(torch.nonzero(weight_n > 0).squeeze(1))


def _classes(column: pa.ChunkedArray, positive: Any) -> tuple[list[Any], Tensor]:
    """Classes in sorted order, except that a positive one named by the spec comes last."""
    classes = sorted(pc.unique(column).to_pylist())
    if positive is not None and (at := find_level(positive, classes)) is not None:
        classes.append(classes.pop(at))
    code = pc.index_in(column, value_set=pa.array(classes, column.type))
    return classes, _tensor(code).long()


def _block(name: str, column: pa.ChunkedArray, dtype: torch.dtype) -> Block:
    if (kind := type_name(column.type)) != "text":
        return NumericBlock([name], _numbers(column, dtype).unsqueeze(1), is_boolean=kind == "boolean")
    levels = sorted(pc.unique(column.drop_null()).to_pylist())
    code = pc.fill_null(pc.index_in(column, value_set=pa.array(levels, pa.string()), skip_nulls=True), -1)
    return TextColumn(name, levels, _tensor(code).long())


def _numbers(column: pa.ChunkedArray, dtype: torch.dtype) -> Tensor:
    return _tensor(pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))).to(dtype)


def _tensor(column: pa.ChunkedArray) -> Tensor:
    return torch.tensor(column.to_numpy())
