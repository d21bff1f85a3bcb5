"""`History`: the interactions of one object, each kept as what its click changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import Interaction


@dataclass(frozen=True)
class Change:
    """What one round did: an interaction as its difference to the one before. `prob` (1, 1, h, w) is that of the box."""

    clicks: Clicks
    roi: Tensor | None
    rows: slice
    columns: slice
    prob: Tensor

    @classmethod
    def between(cls, before: Interaction, after: Interaction) -> Change:
        """The change that makes `after` of `before`."""
        differs = (before.prob != after.prob)[0, 0].numpy(force=True)  # NumPy looks for the first and last line faster
        rows, columns = _span(differs, axis=1), _span(differs, axis=0)
        box = after.prob[..., rows, columns]
        return cls(after.clicks, after.roi, rows, columns, after.prob if box.shape == after.prob.shape else box.clone())


@dataclass(frozen=True)
class History:
    """One object's interactions, from the one before its first click to the running one.

    Only the running one is whole. A round changes the crop that it saw, which is small beside the image, so a hundred clicks
    on a large window cost little more memory than a few.

    Attributes:
        base: before the first click, without features.
        now: the running interaction, with the features that the segmenter left in it.
        changes: of the clicks made, in time order.
        undone: changes taken back, the one to redo next last.
    """

    base: Interaction
    now: Interaction
    changes: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()

    @classmethod
    def begin(cls, interaction: Interaction) -> History:
        """No click yet on `interaction` of one object."""
        return cls(replace(interaction, features=None, flipped=None), interaction)

    def after(self, interaction: Interaction) -> History:
        """One click more; what was undone is forgotten."""
        return replace(self, now=interaction, changes=(*self.changes, Change.between(self.now, interaction)), undone=())

    def first(self, count: int) -> History:
        """As it was after the first `count` clicks; the others can be redone."""
        kept, dropped = self.changes[:count], self.changes[count:]
        if not dropped:
            return self
        return History(self.base, _applied(self.base, kept), kept, (*self.undone, *reversed(dropped)))

    def undo(self) -> History:
        """Without the last click.

        Raises:
            ValueError: there is none.
        """
        if not self.changes:
            raise ValueError("There is no click to undo.")
        return self.first(len(self.changes) - 1)

    def redo(self) -> History:
        """With the click that was undone last.

        Raises:
            ValueError: there is none.
        """
        if not self.undone:
            raise ValueError("There is no click to redo.")
        again = self.undone[-1]
        return History(self.base, _applied(self.now, (again,)), (*self.changes, again), self.undone[:-1])


def _applied(interaction: Interaction, changes: tuple[Change, ...]) -> Interaction:
    """`interaction`, which is without features, after `changes`."""
    if not changes:
        return interaction
    prob = interaction.prob.clone()
    for change in changes:
        prob[..., change.rows, change.columns] = change.prob
    last = changes[-1]
    return replace(interaction, clicks=last.clicks, roi=last.roi, prob=prob)


def _span(differs: NDArray[np.bool_], axis: int) -> slice:
    """From the first to the last line across `axis` that holds a True."""
    found = np.flatnonzero(differs.any(axis))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
