"""What may stand in one column: evaluations of the same instances, by the same protocol, stopped at the same IoU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vfm_isrefiner.evaluation import Evaluation

Key = tuple[str, str]  # source and id of an instance


@dataclass(frozen=True)
class Conditions:
    """What decides whether two numbers compare, besides the network.

    Attributes:
        settings: the protocol's, by dotted name, and `target_iou`.
        data: fingerprint of the instances. instances: those that were evaluated.
    """

    settings: tuple[tuple[str, Any], ...]
    data: str
    instances: frozenset[Key]

    @staticmethod
    def of(evaluation: Evaluation) -> Conditions:
        """Those of an evaluation."""
        settings = (*_flat(evaluation.protocol.settings(), "protocol"), ("target_iou", evaluation.target_iou))
        done = frozenset((result.source, result.id) for result in evaluation.results if result.evaluated)
        return Conditions(tuple(settings), evaluation.data, done)

    def differences(self, other: Conditions) -> list[str]:
        """In words, one for each field that differs: what this one has against what the other has; none where they compare."""
        mine, others = dict(self.settings), dict(other.settings)
        found = [
            f"{name} {shown(mine.get(name))} against {shown(others.get(name))}"
            for name in {**mine, **others}
            if mine.get(name) != others.get(name)
        ]
        if self.data != other.data:
            found.append(f"data fingerprint {self.data or 'unknown'} against {other.data or 'unknown'}")
        if self.instances != other.instances:
            found.append(one_sided(self.instances, other.instances))
        return found


def one_sided(first: frozenset[Key], second: frozenset[Key]) -> str:
    """How many instances each side has for itself."""
    shared = len(first & second)
    return (
        f"instances: {len(first - second)} on the first side only, {len(second - first)} on the second only, {shared} on both"
    )


def distinct(conditions: Sequence[Conditions]) -> list[Conditions]:
    """Each once, in the order of their first appearance."""
    return list(dict.fromkeys(conditions))


def shown(value: Any) -> str:
    """A setting's value as a person writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:g}"
    return " x ".join(map(shown, value)) if isinstance(value, (tuple, list)) else str(value)


def _flat(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", tuple(value) if isinstance(value, list) else value
