"""`DecodedCache`: decoded images and id maps, the latest of one process and, with a `SharedStore`, those of all its workers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from multiprocessing.context import get_spawning_popen
from typing import Any, final

from vfm_isrefiner.data.shared_file import SharedFile
from vfm_isrefiner.data.shared_store import SharedStore


@final
class DecodedCache:
    """Least recently used entries leave first. The newest stays: an image larger than the budget still serves its instances.

    With `share`, an entry goes into the store, where every process finds it; what has no place there is held as before.

    Pickling (into a DataLoader's worker) carries the budget and no entries, and the store where a process is being started.
    Not for several threads at once.

    Args:
        budget: bytes that the entries outside of the store may hold together.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.held = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._store: SharedStore | None = None
        self._space: Hashable = None
        self._views: dict[Hashable, Any] = {}

    def share(self, store: SharedStore | None, space: Hashable) -> None:
        """Use `store` from now on, or none. `space` keeps equal keys of several caches apart."""
        self._store, self._space, self._views = store, space, {}

    @property
    def shares(self) -> bool:
        """Whether it uses a store."""
        return self._store is not None

    def get(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """The entry of `key`, made by `load` where it is not held. An entry says its size by `nbytes`."""
        if key in self._views:
            return self._views[key]
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key][0]
        if self._store is not None:
            found = self._store.get((self._space, key))
            if found is None:
                value = load()
                if not self._store.put((self._space, key), value):
                    return self._hold(key, value)
                found = self._store.get((self._space, key))
            self._views[key] = found
            return found
        return self._hold(key, load())

    def _hold(self, key: Hashable, value: Any) -> Any:
        self._entries[key] = (value, int(value.nbytes))
        self.held += int(value.nbytes)
        while self.held > self.budget and len(self._entries) > 1:
            _, (_, size) = self._entries.popitem(last=False)
            self.held -= size
        return value

    def __len__(self) -> int:
        return len(self._entries)

    def __getstate__(self) -> tuple[int, SharedStore | None, Hashable]:
        return self.budget, None if get_spawning_popen() is None else self._store, self._space

    def __setstate__(self, state: tuple[int, SharedStore | None, Hashable]) -> None:
        budget, store, space = state
        self.__init__(budget)
        self.share(store, space)


def share(caches: Iterable[DecodedCache], budget: int, processes: int = 1) -> None:
    """Let `caches` use one store of `budget` bytes that worker processes share; those that do so already go on with theirs.

    Where the system has no such memory, each of `processes` holds its part of the budget for itself. A budget of 0 leaves the
    caches as they are.
    """
    distinct = list({id(cache): cache for cache in caches}.values())
    if budget <= 0 or all(cache.shares for cache in distinct):
        return
    if not SharedFile.possible():
        for cache in distinct:
            cache.budget = max(cache.budget, budget // (max(1, processes) * len(distinct)))
        return
    store = SharedStore(budget)
    for number, cache in enumerate(distinct):
        cache.share(store, number)
