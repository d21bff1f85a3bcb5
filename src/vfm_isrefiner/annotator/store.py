"""`Store`: the accepted objects of one scene, each on the disk before anybody is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any, final

from vfm_isrefiner.annotator.accepted import Accepted
from vfm_isrefiner.annotator.objects_file import ObjectsFile
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.geo.area import area_m2
from vfm_isrefiner.geo.ground import Grid
from vfm_isrefiner.geo.outline import covers, on_ground

KEPT_DELETED = 1000  # that can be restored


@dataclass(frozen=True)
class Work:
    """A finished mask on its way into the store; attributes as in `Accepted`."""

    outline: Any
    label: str
    area_px: int
    score: float
    clicks: tuple[tuple[float, float, bool], ...]
    author: str


@final
class Store:
    """Objects by id, and what makes the running ones. For several threads.

    Args:
        path, grid: as in `ObjectsFile`.

    Raises:
        ValueError, OSError: as `ObjectsFile`.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self.path, self.grid = path, grid
        self._lock = RLock()
        self._file = ObjectsFile(path, grid)
        self._objects: dict[int, Accepted] = {}
        self._deleted: dict[int, tuple[int, Accepted]] = {}
        found = {one.id: one for one in self._file.objects()}
        self._objects = {number: one for number, one in found.items() if one.version and one.area_fits}
        self._version = self._file.version()
        self._adopt(found)  # those that another program has drawn or changed meanwhile
        self._begun = self._version

    @property
    def version(self) -> int:
        """Rises with every change."""
        return self._version

    def objects(self) -> list[Accepted]:
        """All, in the order of their ids."""
        with self._lock:
            return [self._objects[number] for number in sorted(self._objects)]

    def get(self, number: int) -> Accepted:
        """The object of this id. Raises `Refusal` 404 where there is none."""
        with self._lock:
            if number not in self._objects:
                raise Refusal(
                    404, f"There is no object {number} in this scene: it may have been deleted. Load the objects again."
                )
            return self._objects[number]

    def at(self, x: float, y: float) -> Accepted | None:
        """The object accepted last that covers a position."""
        return next((one for one in reversed(self.objects()) if one.reaches(x, y) and covers(one.outline, x, y)), None)

    def since(self, version: int) -> tuple[int, list[Accepted], list[int]]:
        """The version now, what changed after `version`, and the ids that went; 0: all objects."""
        with self._lock:
            self._look_again()
            if version <= 0:
                return self._version, self.objects(), []
            changed = [one for one in self.objects() if one.version > version]
            if version >= self._begun:
                gone = [number for number, (when, _) in self._deleted.items() if when > version]
            else:  # of an earlier start, which kept no list of them
                gone = [number for number in range(1, self._file.last_id() + 1) if number not in self._objects]
            return self._version, changed, sorted(gone)

    def add(self, work: Work, session: str | None = None) -> Accepted:
        """On the disk when it returns; what runs in `session` is forgotten in the same transaction."""
        now = _now()
        return self._write(lambda new: self._made(self._file.last_id() + 1, work, new, now, now), session)

    def replace(self, number: int, version: int, work: Work, session: str | None = None) -> Accepted:
        """Another mask for an object.

        Raises:
            Refusal: 404 it is not there; 409 it was changed after `version`.
        """
        return self._write(lambda new: self._made(number, work, new, self.current(number, version).created, _now()), session)

    def relabel(self, number: int, version: int, label: str) -> Accepted:
        """Another label. Raises `Refusal` as `replace`."""

        def made(new: int) -> Accepted:
            return replace(self.current(number, version), label=label, version=new, changed=_now())

        return self._write(made, put=self._file.put_attributes)

    def restore(self, number: int) -> Accepted:
        """A deleted object again, as it was. Raises `Refusal` 404 where this process has deleted none of this id."""
        with self._lock:
            if number not in self._deleted:
                raise Refusal(
                    404, f"Object {number} was not deleted since the start, so it cannot be restored. Click it again."
                )
            _, old = self._deleted[number]
            found = self._write(lambda new: replace(old, version=new, changed=_now()))
            del self._deleted[number]
            return found

    def delete(self, number: int, version: int) -> None:
        """Without this object. Raises `Refusal` as `replace`."""
        with self._lock:
            self._look_again()
            old = self.current(number, version)
            with self._file.writing():
                self._check_known()
                new = self._file.advance()
                self._file.remove(number)
            self._version = new
            del self._objects[number]
            self._deleted[number] = (new, old)
            while len(self._deleted) > KEPT_DELETED:
                when, _ = self._deleted.pop(next(iter(self._deleted)))
                self._begun = max(self._begun, when)  # who has polled before that is told by the ids that are left

    def running(self) -> dict[str, dict[str, Any]]:
        """What was kept of each session's running object, those changed last first."""
        with self._lock:
            return self._file.running()

    def keep_running(self, session: str, state: dict[str, Any] | None) -> None:
        """Put what makes the running object of a session on the disk; None: there is none."""
        with self._lock, self._file.writing(lasting=False):  # a kill leaves it, a power cut may take the last clicks
            if state is None:
                self._file.forget_running(session)
            else:
                self._file.put_running(session, state, _now())

    def close(self) -> None:
        """Give the file free."""
        with self._lock:
            self._file.close()

    def current(self, number: int, version: int) -> Accepted:
        """The object, if it is of this version. Raises `Refusal` as `replace`."""
        one = self.get(number)
        if one.version != version:
            raise Refusal(
                409,
                f"Object {number} was changed by {one.author or 'someone else'} in the meantime (version {one.version}, not "
                f"{version}). Look at it as it is now, and repeat the change if it is still wanted.",
                {"object": one.told()},
            )
        return one

    def _made(self, number: int, work: Work, version: int, created: str, changed: str) -> Accepted:
        area = area_m2(on_ground(work.outline, self.grid.transform), self.grid.crs)
        more = (work.area_px, work.score, work.clicks, work.author, version, created, changed)
        return Accepted(number, work.outline, work.label, area if math.isfinite(area) else None, *more)

    def _write(
        self, made: Callable[[int], Accepted], session: str | None = None, put: Callable[[Accepted], None] | None = None
    ) -> Accepted:
        """The object that `made` gives for the number of the change: on the disk, then in memory."""
        with self._lock:
            self._look_again()
            with self._file.writing():
                self._check_known()
                one = made(self._file.advance())
                (put or self._file.put)(one)
                if session is not None:
                    self._file.forget_running(session)
            self._version = one.version
            self._objects[one.id] = one
            return one

    def _look_again(self) -> None:
        """Take over what another program, such as a GIS, has changed in the file while it is open here."""
        if self._file.changed_elsewhere():
            self._file.take_note()
            self._adopt({one.id: one for one in self._file.objects()})

    def _adopt(self, found: dict[int, Accepted]) -> None:
        """Make what the file holds what is known, as one change like any other; geometries stay as they were drawn."""
        changed = [one for one in found.values() if one.told() != _told(self._objects.get(one.id))]
        gone = [one for number, one in self._objects.items() if number not in found]
        if not changed and not gone:
            return
        with self._file.writing():
            new, now = self._file.advance(), _now()
            adopted = []
            for one in changed:
                made = self._made(one.id, _work(one), new, one.created or now, now)
                self._file.put_attributes(made)
                adopted.append(made)
        self._version = new
        self._objects |= {one.id: one for one in adopted}
        for one in gone:
            del self._objects[one.id]
            self._deleted[one.id] = (new, one)

    def _check_known(self) -> None:
        """Raise `Refusal` 503 where another program has written between the last look and this transaction."""
        if self._file.changed_elsewhere():
            text = "Another program changed the file of objects this moment. Try again, and look at what it has changed."
            raise Refusal(503, text, headers={"Retry-After": "1"})


def _work(one: Accepted) -> Work:
    """What another program has left, with the area that its outline has now."""
    pixels = one.area_px if one.area_fits else round(one.outline.area)
    return Work(one.outline, one.label, pixels, one.score, one.clicks, one.author)


def _told(one: Accepted | None) -> dict[str, Any] | None:
    return None if one is None else one.told()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
