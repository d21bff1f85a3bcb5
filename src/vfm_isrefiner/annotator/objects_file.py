"""`ObjectsFile`: the GeoPackage of one scene's objects, row by row, one transaction a change."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, final

import numpy as np

from vfm_isrefiner.annotator.accepted import Accepted, accepted_of, row_of
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.geo.geopackage import (
    blob_of,
    box_of_blob,
    connect,
    create_layer,
    disconnect,
    geometry_of,
    layer_crs,
    log_ahead,
    settle,
)
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.outline import on_ground, outline_in_pixels
from vfm_isrefiner.geo.vector import VectorError

LAYER = "objects"
COLUMNS: dict[str, Any] = {
    "id": np.array([], np.int64),
    "label": np.array([], object),
    "area_m2": np.array([], np.float64),
    "area_px": np.array([], np.int64),
    "score": np.array([], np.float64),
    "clicks": np.array([], object),
    "author": np.array([], object),
    "version": np.array([], np.int64),
    "created": np.array([], "datetime64[ms]"),
    "changed": np.array([], "datetime64[ms]"),
}
# GDAL and QGIS pass over tables of this prefix that they do not know, and list all others
RUNNING, COUNTER = "gpkg_isrefiner_running", "gpkg_isrefiner_version"
KEPT = "-30 days"  # how long what runs is kept for a session that does not come back
ABOUT = "Made by isrefiner annotate for "  # begins the layer's description


@final
class ObjectsFile:
    """Opened, checked and claimed for this process. One thread at a time.

    Args:
        path: made where there is none, gone on with where it is one of this scene.
        grid: of the scene.

    Raises:
        ValueError: `path` is something else, belongs to another scene, or is open in another process.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self.path, self.grid = path, grid
        path.parent.mkdir(parents=True, exist_ok=True)
        self._claim = _claimed(path)
        try:
            if not path.exists():
                create_layer(path, LAYER, COLUMNS, grid.crs)
            crs = layer_crs(path, LAYER)
            self._file = connect(path)
            try:
                self._look(crs)
                self._prepare()
            except BaseException:
                self._file.close()
                raise
        except BaseException:
            _let_go(self._claim)
            raise

    def _look(self, crs: Any) -> None:
        """Check that the file is ours and this scene's; `crs` is that of its layer. Nothing is written."""
        info = list(self._file.execute(f"PRAGMA table_info({LAYER})"))
        if missing := [name for name in COLUMNS if name not in {row[1] for row in info}]:
            raise ValueError(
                f"{self.path} has a layer {LAYER} without the columns {', '.join(missing)}: isrefiner annotate did not make "
                "it. Name another --out."
            )
        known = "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?"
        self._geometry, self._system = self._file.execute(known, (LAYER,)).fetchone()
        self._key = next(row[1] for row in info if row[5])
        place = "no reference system" if self.grid.crs is None else self.grid.crs.to_string()
        self._about = f"{ABOUT}{self.grid.size[1]}x{self.grid.size[0]} pixels at {list(self.grid.transform)[:6]}, {place}"
        (said,) = self._file.execute("SELECT description FROM gpkg_contents WHERE table_name = ?", (LAYER,)).fetchone()
        if said != self._about and (said or crs != self.grid.crs):
            raise ValueError(
                f"{self.path} belongs to another scene ({said or crs}; this one: {self._about}). Name another --out."
            )

    def _prepare(self) -> None:
        """Add the tables of running objects, and say which pixels the layer was drawn on."""
        log_ahead(self._file)
        with self.writing():
            self._file.execute(f"CREATE TABLE IF NOT EXISTS {RUNNING} (session TEXT PRIMARY KEY, state TEXT, changed TEXT)")
            self._file.execute(f"CREATE TABLE IF NOT EXISTS {COUNTER} (version INTEGER)")
            if self._file.execute(f"SELECT count(*) FROM {COUNTER}").fetchone()[0] == 0:
                self._file.execute(f"INSERT INTO {COUNTER} VALUES (0)")
            self._file.execute("UPDATE gpkg_contents SET description = ? WHERE table_name = ?", (self._about, LAYER))
            self._file.execute(f"DELETE FROM {RUNNING} WHERE changed < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)", (KEPT,))
        self.take_note()

    @contextmanager
    def writing(self, lasting: bool = True) -> Iterator[None]:
        """One transaction, with the operating system when it ends, and where `lasting` on the disk; nothing if the body raises.

        Raises:
            Refusal: 503, the file is locked by another program, or the disk refuses.
        """
        try:
            self._file.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
                if lasting:
                    settle(self._file)
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            raise Refusal(
                503,
                f"{self.path.name} could not be written ({error}): nothing was changed. Close it in other programs or free "
                "some space, and try again.",
                headers={"Retry-After": "2"},
            ) from error

    def take_note(self) -> None:
        """What other programs have written up to now is known."""
        self._noted = self._state()

    def changed_elsewhere(self) -> bool:
        """Has another program written since `take_note`?"""
        return self._state() != self._noted

    def _state(self) -> int:
        return int(self._file.execute("PRAGMA data_version").fetchone()[0])

    def version(self) -> int:
        """The number of the last change."""
        return int(self._file.execute(f"SELECT version FROM {COUNTER}").fetchone()[0])

    def advance(self) -> int:
        """The number of the change that is being written."""
        self._file.execute(f"UPDATE {COUNTER} SET version = version + 1")
        return self.version()

    def last_id(self) -> int:
        """The largest id that was ever given."""
        row = self._file.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (LAYER,)).fetchone()
        return int(row[0]) if row else 0

    def objects(self) -> Iterator[Accepted]:
        """All whose geometry has an area and can be read; rows of other programs may have another, and are left alone."""
        names = ", ".join(COLUMNS)
        for key, blob, *row in self._file.execute(f'SELECT "{self._key}", "{self._geometry}", {names} FROM {LAYER}'):
            with contextlib.suppress(VectorError):
                outline = None if blob is None else outline_in_pixels(geometry_of(blob), self.grid.transform)
                if outline is not None and outline.area > 0:
                    yield accepted_of(key, outline, dict(zip(COLUMNS, row, strict=True)))

    def put(self, one: Accepted) -> None:
        """Insert the row of this id, or replace it; columns that somebody has added stay."""
        blob = blob_of(on_ground(one.outline, self.grid.transform), self._system)
        insert = f'INSERT OR IGNORE INTO {LAYER} ("{self._key}", "{self._geometry}") VALUES (?, ?)'
        if not self._file.execute(insert, (one.id, blob)).rowcount:
            update = f'UPDATE {LAYER} SET "{self._geometry}" = ? WHERE "{self._key}" = ?'
            if not self._file.execute(update, (blob, one.id)).rowcount:
                raise sqlite3.IntegrityError("a rule that somebody has added keeps the row out")
        self.put_attributes(one)
        left, right, bottom, top = box_of_blob(blob)
        self._file.execute(
            "UPDATE gpkg_contents SET last_change = :now, min_x = min(ifnull(min_x, :left), :left), "
            "min_y = min(ifnull(min_y, :bottom), :bottom), max_x = max(ifnull(max_x, :right), :right), "
            "max_y = max(ifnull(max_y, :top), :top) WHERE table_name = :layer",
            {"now": one.changed, "left": left, "bottom": bottom, "right": right, "top": top, "layer": LAYER},
        )

    def put_attributes(self, one: Accepted) -> None:
        """All but the geometry of the row of this id."""
        values = row_of(one)
        told = ", ".join(f"{name} = ?" for name in values)
        self._file.execute(f'UPDATE {LAYER} SET {told} WHERE "{self._key}" = ?', (*values.values(), one.id))

    def remove(self, number: int) -> None:
        """The row of this id."""
        self._file.execute(f'DELETE FROM {LAYER} WHERE "{self._key}" = ?', (number,))

    def running(self) -> dict[str, dict[str, Any]]:
        """What was put for each session, those changed last first."""
        rows = self._file.execute(f"SELECT session, state FROM {RUNNING} ORDER BY changed DESC").fetchall()
        return {session: json.loads(state) for session, state in rows}

    def put_running(self, session: str, state: dict[str, Any], now: str) -> None:
        """Keep what makes the running object of a session."""
        self._file.execute(f"INSERT OR REPLACE INTO {RUNNING} VALUES (?, ?, ?)", (session, json.dumps(state), now))

    def forget_running(self, session: str) -> None:
        """Drop what was put for it."""
        self._file.execute(f"DELETE FROM {RUNNING} WHERE session = ?", (session,))

    def close(self) -> None:
        """Give the file free."""
        disconnect(self._file)
        _let_go(self._claim)


def _claimed(path: Path) -> IO[bytes]:
    """The open file that says that this process has `path`."""
    try:
        claim = path.with_name(f".{path.name}.lock").open("ab")
    except OSError as error:
        raise OSError(f"{path} cannot be kept there ({error}). Name another place with --out.") from error
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(claim.fileno()), os.stat(claim.name))
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:  # else another process has removed it in between
        claim.close()
        raise ValueError(f"Another isrefiner annotate has {path} open. Use its page, or name another --out.")
    return claim


def _let_go(claim: IO[bytes]) -> None:
    if not claim.closed:
        Path(claim.name).unlink(missing_ok=True)
        claim.close()
