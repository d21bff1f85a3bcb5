"""`DecodedCache`: the latest decoded images and id maps of one process, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, final


@final
class DecodedCache:
    """Least recently used entries leave first. The newest stays: an image larger than the budget still serves its instances.

    Pickling (into a DataLoader's worker) carries the budget and no entries: every process fills its own.
    Not for several threads at once.

    Args:
        budget: bytes that the entries may hold together.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.held = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """The entry of `key`, made by `load` where it is not held. An entry says its size by `nbytes`."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key][0]
        value = load()
        self._entries[key] = (value, int(value.nbytes))
        self.held += int(value.nbytes)
        while self.held > self.budget and len(self._entries) > 1:
            _, (_, size) = self._entries.popitem(last=False)
            self.held -= size
        return value

    def __len__(self) -> int:
        return len(self._entries)

    def __getstate__(self) -> dict[str, int]:
        return {"budget": self.budget}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(state["budget"])
