"""A GeoPackage's layer that is written feature by feature, each in one transaction of SQLite.

GDAL makes the file; what is written into it afterwards follows OGC 12-128r19, clauses 2.1.3 (geometry) and 1.1.3 (contents).
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from vfm_isrefiner.geo.appearing import appearing
from vfm_isrefiner.geo.opening import quiet
from vfm_isrefiner.geo.vector import FAULTS, VectorError

APPLICATION = b"GPKG"
HEADER = struct.Struct("<2sBBi4d")  # magic, version, flags, reference system, min x, max x, min y, max y
LITTLE_ENDIAN, WITH_BOX = 0x01, 0x02
BOX_DOUBLES = {0: 0, 1: 4, 2: 6, 3: 6, 4: 8}
WAIT_SECONDS = 5.0  # for another program that writes


def create_layer(path: Path, layer: str, columns: Mapping[str, NDArray], crs: CRS | None) -> None:
    """An empty layer of MultiPolygons in a new file, which appears when it is complete.

    Args:
        columns: name -> an empty array of the column's type.

    Raises:
        OSError: it cannot be written.
    """
    with appearing(path, FAULTS) as temporary, quiet(Warning):  # a missing reference system
        pyogrio.raw.write(
            str(temporary),
            np.array([], object),
            list(columns.values()),
            list(columns),
            driver="GPKG",
            layer=layer,
            geometry_type="MultiPolygon",
            crs=None if crs is None else crs.to_wkt(),
            layer_options={"SPATIAL_INDEX": "NO"},  # SQLite alone cannot keep one
        )


def layer_crs(path: Path, layer: str) -> CRS | None:
    """Reference system of a layer, None where it names none.

    Raises:
        VectorError: there is no such layer.
    """
    try:
        text = pyogrio.read_info(path, layer=layer)["crs"]
    except FAULTS as error:
        raise VectorError(f"{path} has no readable layer {layer!r} ({error}).") from error
    return None if text is None or text.startswith("ENGCRS") or "Undefined" in text else CRS.from_user_input(text)


def connect(path: Path) -> sqlite3.Connection:
    """The file as a database, for one thread at a time.

    Raises:
        VectorError: it is no GeoPackage.
    """
    with path.open("rb") as file:
        head = file.read(72)
    if not head.startswith(b"SQLite format 3\0") or head[68:72] != APPLICATION:
        raise VectorError(f"{path} is no GeoPackage. Name another file.")
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    # the triggers of a spatial index that another program has made call these
    for number, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        connection.create_function(name, 1, lambda blob, of=number: box_of_blob(blob)[of], deterministic=True)
    connection.create_function("ST_IsEmpty", 1, lambda blob: int(not np.isfinite(box_of_blob(blob)).all()), deterministic=True)
    return connection


def log_ahead(connection: sqlite3.Connection) -> None:
    """Commit into a log beside the file first.

    A file with a rollback journal whose writer was killed can be opened for writing only, and most programs read only;
    with a log ahead, all can. A file system that cannot have it goes on as it is.
    """
    connection.execute("PRAGMA journal_mode = WAL").fetchall()


def settle(connection: sqlite3.Connection) -> None:
    """Bring what was committed into the file itself, as far as nobody reads what was there before. Waits for nobody.

    Where the file cannot grow, the log keeps it: committed it is in any case.
    """
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def disconnect(connection: sqlite3.Connection) -> None:
    """Close the database, as one file without companions where no other program has it open."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    connection.close()


def blob_of(geometry: shapely.Geometry, system: int) -> bytes:
    """A polygon or MultiPolygon as a MultiPolygon of a GeoPackage's geometry column; `system` is the column's srs_id."""
    if geometry.geom_type == "Polygon":
        geometry = shapely.MultiPolygon([geometry])
    left, bottom, right, top = shapely.bounds(geometry)
    header = HEADER.pack(b"GP", 0, LITTLE_ENDIAN | WITH_BOX, system, left, right, bottom, top)
    return header + bytes(shapely.to_wkb(geometry, byte_order=1))


def geometry_of(blob: bytes) -> shapely.Geometry:
    """The geometry of a cell of a geometry column.

    Raises:
        VectorError: it is damaged.
    """
    try:
        doubles = BOX_DOUBLES[(blob[3] >> 1) & 7]
        return shapely.from_wkb(blob[8 + 8 * doubles :])
    except (KeyError, IndexError, shapely.errors.GEOSException) as error:
        raise VectorError(
            f"A geometry of the GeoPackage is damaged ({error}). Repair the file, or name another one."
        ) from error


def box_of_blob(blob: bytes | None) -> tuple[float, float, float, float]:
    """Min x, max x, min y, max y; NaN where there is nothing."""
    if blob is None:
        return (np.nan,) * 4
    left, bottom, right, top = shapely.bounds(geometry_of(blob)).tolist()
    return left, right, bottom, top
