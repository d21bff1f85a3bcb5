"""What a check of reference vectors is, and what it reports: `Check`, `Row`, and how the files are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """The verdict on one file: its name, how many cases it held, the worst error of any, the allowed error, and a remark."""

    file: str
    cases: int
    worst_error: float
    tolerance: str
    passed: bool
    note: str = ""


@dataclass(frozen=True)
class Check:
    """One form of file: `pattern` matches its whole stem (without `hidden_`), `run` compares our code with what it holds."""

    name: str
    pattern: str
    run: Callable[[Path], Row]


Case = dict[str, np.ndarray]


def read_cases(path: Path, *names: str) -> dict[str, Case]:
    """The cases of a file with keys `<case>.<name>`; a file with plain keys is one case called "".

    Raises:
        ValueError: there is no case, or one lacks a name of `names`.
    """
    cases: dict[str, Case] = {}
    with path.open("rb") as file, np.load(file) as vectors:  # np.load itself leaves a broken file open
        for key in vectors.files:
            case, _, name = key.rpartition(".")
            cases.setdefault(case, {})[name] = vectors[key]
    lacking = [f"{case}.{name}" for case, values in cases.items() for name in names if name not in values]
    if lacking or not cases:
        raise ValueError(f"{path.name} lacks {', '.join(lacking[:5]) or 'any case'}.")
    return cases


def bits(packed: np.ndarray, *shape: int) -> np.ndarray:
    """A bool array of `shape` from its packed bits."""
    count = int(np.prod(shape))
    if packed.size != -(-count // 8):
        raise ValueError(f"{packed.size} bytes cannot hold the {count} bits of shape {shape}.")
    return np.unpackbits(packed)[:count].reshape(shape).astype(bool)


def largest_difference(got: np.ndarray, expected: np.ndarray, relative: bool = False) -> float:
    """max |got - expected|, or that over |expected|; infinite where a number is missing on one side only."""
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if got.shape != expected.shape:
        raise ValueError(f"our result is {got.shape}, the expected one {expected.shape}")
    difference = np.abs(got - expected) / (np.maximum(np.abs(expected), 1e-12) if relative else 1.0)
    return float(np.where(np.isnan(difference), np.inf, difference).max(initial=0.0))


def row_within(path: Path, errors: dict[str, float], tolerance: float, unit: str = "") -> Row:
    """The row of a file whose cases have these errors: passed if none is larger than the tolerance."""
    case = max(errors, key=lambda name: errors[name])
    worst = errors[case]
    allowed = "exact" if tolerance == 0 else f"{tolerance:.0e} {unit}".strip()
    return Row(
        path.name, len(errors), worst, allowed, worst <= tolerance, f"worst in case {case}" if worst > 0 and case else ""
    )
