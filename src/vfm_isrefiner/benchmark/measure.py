"""`Measure` and `Report`: what a benchmark found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vfm_isrefiner.benchmark.machine import Machine
from vfm_isrefiner.benchmark.timing import Timing
from vfm_isrefiner.files import write_whole

HEADER = ("what", "measured", "quartiles", "target", "met")


@dataclass(frozen=True)
class Target:
    """At most (`at_most`) or at least `value`, in the unit of the measure."""

    value: float
    at_most: bool = True

    def met(self, value: float) -> bool:
        """Whether `value` reaches it."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Measure:
    """One number of a benchmark.

    Attributes:
        what: the thing measured. unit: of `value` and `target`.
        value: None where it could not be measured here; `note` then says why.
        quartiles: of the repeats, where there were several.
        target: what it should reach, if anything.
        note: how it was measured, or why not.
    """

    what: str
    value: float | None
    unit: str
    quartiles: tuple[float, float] | None = None
    target: Target | None = None
    note: str = ""

    @staticmethod
    def of(
        what: str, timing: Timing, unit: str, target: Target | None = None, *, scale: float = 1.0, note: str = ""
    ) -> Measure:
        """Median and quartiles of `timing`, times `scale`."""
        low, high = timing.quartiles
        return Measure(what, scale * timing.median, unit, (scale * low, scale * high), target, note)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none, or nothing was measured."""
        return None if self.target is None or self.value is None else self.target.met(self.value)

    def cells(self) -> tuple[str, ...]:
        """A row of the table, under HEADER."""
        unit = f" {self.unit}" if self.unit else ""
        value = "not measured" if self.value is None else f"{_short(self.value)}{unit}"
        spread = "" if self.quartiles is None else "–".join(_short(number) for number in self.quartiles)
        target = "" if self.target is None else f"{self.target}{unit}"
        return self.what, value, spread, target, {True: "yes", False: "no", None: ""}[self.met]


@dataclass(frozen=True)
class Report:
    """All that one benchmark found.

    Attributes:
        word: which benchmark. machine: where. settings: what was asked for, as plain values.
        measures: its rows. growth: curves by name, such as "batch", each of (size, seconds) pairs.
    """

    word: str
    machine: Machine
    settings: Mapping[str, Any]
    measures: Sequence[Measure]
    growth: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "benchmark": self.word,
            "machine": self.machine.plain(),
            "settings": dict(self.settings),
            "measures": [
                {
                    "what": each.what,
                    "value": each.value,
                    "unit": each.unit,
                    "quartiles": each.quartiles,
                    "target": None if each.target is None else str(each.target),
                    "met": each.met,
                    "note": each.note,
                }
                for each in self.measures
            ],
            "growth": {name: [list(point) for point in curve] for name, curve in self.growth.items()},
        }

    def markdown(self) -> str:
        """The table, the notes, the machine."""
        rows = [HEADER, *(each.cells() for each in self.measures)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + "---|" * len(HEADER))
        notes = [f"- {each.what}: {each.note}" for each in self.measures if each.note]
        return "\n".join([*lines, "", *notes, *([""] if notes else []), self.machine.line()])

    def save(self, file: Path) -> None:
        """JSON, whole or not at all."""
        write_whole(file, f"{json.dumps(self.plain(), indent=2)}\n".encode())


def _short(number: float) -> str:
    """Three digits that count, and no power of ten where a person would write none."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e7 else f"{number:.3g}"
