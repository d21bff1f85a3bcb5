"""In words: which of the given runs cannot be compared, and what differs."""

from __future__ import annotations

from collections.abc import Sequence

from vfm_isrefiner.report.comparable import Conditions
from vfm_isrefiner.report.runs import Run

SHOWN = 4


def what_stands_apart(runs: Sequence[Run]) -> tuple[str, ...]:
    """A sentence for each set of instances and each way of measuring it that is not the commonest one there."""
    sentences = []
    for name in dict.fromkeys(name for run in runs for name in run.evaluations):
        measured: dict[Conditions, list[str]] = {}
        for run in runs:
            if name in run.evaluations:
                measured.setdefault(Conditions.of(run.evaluations[name]), []).append(run.name)
        common = max(measured, key=lambda conditions: len(measured[conditions]))
        for conditions, names in measured.items():
            if conditions != common:
                differing = "; ".join(conditions.differences(common))
                sentences.append(f"{name}: {_few(names)} against {_few(measured[common])}, as these differ: {differing}.")
    return tuple(sentences)


def _few(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = len(unique) - SHOWN
    return ", ".join(unique[:SHOWN]) + (f" and {more} more" if more > 0 else "")
