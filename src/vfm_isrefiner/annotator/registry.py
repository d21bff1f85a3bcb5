"""`Registry`: the sessions of all scenes, those of earlier starts among them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any, final

from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.running import Running
from vfm_isrefiner.annotator.said import Said
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.workers import Workers
from vfm_isrefiner.batch.windows import WindowRule
from vfm_isrefiner.predictor import Predictor

IDLE_SECONDS = 600.0  # after which a session gives its place to another; what it holds stays on the disk
WARM_PIXELS = 2**25  # of windows in memory: 8 of the largest, less what undo needs; each pixel takes about 20 bytes
CHANGED = "The object you were editing was changed or deleted in the meantime: your clicks on it were dropped."


class Entry:
    """A session with the lock that puts its calls in order, and when it was used last."""

    def __init__(self, running: Running) -> None:
        self.running, self.lock, self.used = running, asyncio.Lock(), time.monotonic()


@final
class Registry:
    """Sessions by name; for the event loop's thread.

    Args:
        scenes: by id. predictor: of all sessions. keeping: threads that look into the scenes' files.
        rule: sides that windows may have. most: sessions at a time.
    """

    def __init__(
        self,
        scenes: Mapping[str, AnnotatedScene],
        predictor: Predictor,
        keeping: Workers,
        rule: WindowRule | None = None,
        most: int = 64,
    ) -> None:
        self._keeping = keeping
        self._scenes, self._predictor, self._rule, self._most = scenes, predictor, rule, most
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def begin(self, scene: AnnotatedScene, author: str, resume: str | None) -> Entry:
        """A new session, or the one to resume if it is known and of this scene.

        Raises:
            Refusal: 429, too many sessions are at work.
        """
        known = None if resume is None else await self._find(resume)
        if known is not None and known.running.scene is scene:
            known.running.author = author or known.running.author
            return known
        return self._added(Running(secrets.token_urlsafe(12), scene, self._predictor, author, self._rule))

    async def get(self, key: str) -> Entry:
        """Raises `Refusal` 404 where there is no such session, not even on the disk."""
        entry = await self._find(key)
        if entry is None:
            raise Refusal(404, "This session is not known here any more: begin one with POST /api/scenes/{scene}/sessions.")
        return entry

    def close(self, key: str) -> None:
        """Without this session, until it is asked for again."""
        self._entries.pop(key, None)

    def cool(self, kept: Entry) -> None:
        """Give memory of the windows free that were used least lately, but for `kept`, while there is too much of it."""
        total = sum(one.running.held for one in self._entries.values())
        for one in sorted(self._entries.values(), key=lambda one: one.used):
            if total <= WARM_PIXELS:
                return
            if one is not kept and not one.lock.locked():
                total -= one.running.held
                one.running.cool()

    async def _find(self, key: str) -> Entry | None:
        if key not in self._entries:
            kept = await self._keeping.run(self._kept, key)  # the file may be locked for a while
            if kept is not None and key not in self._entries:
                self._added(self._again(key, *kept))
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = time.monotonic()
        return entry

    def _kept(self, key: str) -> tuple[AnnotatedScene, Mapping[str, Any]] | None:
        """The scene of a session that is on the disk, and what was kept of it."""
        pairs = ((scene, scene.store.running().get(key)) for scene in self._scenes.values())
        return next(((scene, row) for scene, row in pairs if row is not None), None)

    def _again(self, key: str, scene: AnnotatedScene, row: Mapping[str, Any]) -> Running:
        """The session that an earlier start, or a closed tab, has left."""
        author = str(row.get("author") or "")
        try:
            said, note = Said.of_row(row, scene.store.get), ""
        except (LookupError, Refusal):
            said, note = Said(), CHANGED
        except (ValueError, TypeError):
            said, note = Said(), ""
        return Running(key, scene, self._predictor, author, self._rule, said, note)

    def _added(self, running: Running) -> Entry:
        if len(self._entries) >= self._most:
            oldest = min(self._entries.values(), key=lambda one: one.used)
            if time.monotonic() - oldest.used < IDLE_SECONDS or oldest.lock.locked():
                raise Refusal(
                    429,
                    f"{len(self._entries)} sessions are at work, the most there may be. Close one, or try again later.",
                    headers={"Retry-After": "60"},
                )
            del self._entries[oldest.running.key]
        entry = Entry(running)
        self._entries[running.key] = entry
        return entry
