"""The index of prepared patches: one row an object of a patch, as Parquet, with its mask as run lengths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.files import write_whole

FACTS = b"vfm_isrefiner"
ROWS_A_GROUP = 50_000
# Equal values of neighbouring rows are stored once, however many bytes they have.
DICTIONARY_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class IndexRow:
    """An object as one patch shows it.

    Attributes:
        image: the patch, its file without folder and ending.
        instance: the number that marks the object in its scene; parts of one object in several patches share it.
        category: class name, or "".
        area: pixels that the patch shows.
        x, y, box_width, box_height: their box in pixels of the patch.
        at_border: whether they touch an edge of the patch behind which the scene goes on.
        height, width: of the patch.
        scene: name of the image that the patch is cut from.
        row, column: of the patch's first pixel in the scene.
        split: as published, or "".
        gsd: metres per pixel, NaN where unknown.
        mask: compressed COCO run lengths over the whole patch.
        ignore: the same of the pixels to ignore, None where there are none; alike in all rows of a patch.
    """

    image: str
    instance: int
    category: str
    area: int
    x: int
    y: int
    box_width: int
    box_height: int
    at_border: bool
    height: int
    width: int
    scene: str
    row: int
    column: int
    split: str
    gsd: float
    mask: bytes
    ignore: bytes | None


TYPES = {"str": pa.string(), "int": pa.int32(), "bool": pa.bool_(), "float": pa.float64(), "bytes": pa.binary()}
SCHEMA = pa.schema(
    [(field.name, pa.int64() if field.name == "instance" else TYPES[field.type.split(" ")[0]]) for field in fields(IndexRow)]
)
REPEATED = [name for name in SCHEMA.names if name != "mask"]


def write_part(path: Path, rows: Sequence[IndexRow], facts: dict[str, Any]) -> None:
    """The rows of one scene, whole or not at all, with `facts` (JSON) beside them. Raises `OSError`."""
    table = pa.table({name: [getattr(row, name) for row in rows] for name in SCHEMA.names}, schema=SCHEMA)
    write_whole(path, _written([table], {FACTS: json.dumps(facts, sort_keys=True).encode()}))


def read_facts(path: Path) -> dict[str, Any] | None:
    """What `write_part` was given as facts; None where there is no such file or it is none of ours."""
    try:
        return json.loads(parquet.read_schema(path).metadata[FACTS])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None


def read_part(path: Path) -> pa.Table:
    """The rows of one scene."""
    return parquet.ParquetFile(path).read()


def join_parts(parts: Iterable[Path], path: Path) -> None:
    """One index of all `parts`, in their order, whole or not at all. Raises `OSError`."""
    write_whole(path, _written(_groups(parts), {}))


def read_index(path: Path, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """These columns of all rows; repeated texts and ignored pixels are held once.

    Raises:
        DataError: the file is missing, broken, or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"There is no index {path}. Give the folder that `isrefiner prepare` wrote, or run it (again).")
    try:
        repeated = ["image", "category", "scene", "split", "ignore"]
        return parquet.read_table(path, columns=list(columns), read_dictionary=repeated).select(columns)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(f"{path} is no index of prepared patches ({error}). Remove its folder and prepare again.") from error


def _groups(parts: Iterable[Path]) -> Iterator[pa.Table]:
    """Tables of about `ROWS_A_GROUP` rows: what is held at a time, and what the file is divided in."""
    held: list[pa.Table] = []
    for path in parts:
        held.append(read_part(path).replace_schema_metadata(None))
        if sum(len(table) for table in held) >= ROWS_A_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _written(tables: Iterable[pa.Table], metadata: dict[bytes, bytes]) -> bytes:
    stream = pa.BufferOutputStream()
    options = {"compression": "zstd", "use_dictionary": REPEATED, "dictionary_pagesize_limit": DICTIONARY_BYTES}
    with parquet.ParquetWriter(stream, SCHEMA.with_metadata(metadata), **options) as writer:
        for table in tables:
            writer.write_table(table.cast(writer.schema), row_group_size=len(table) or None)
    return stream.getvalue().to_pybytes()
