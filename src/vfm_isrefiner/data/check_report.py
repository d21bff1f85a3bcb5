"""What a check of a set found: problems, counts, and both as Markdown and as plain values for JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

ERRORS = {
    "cannot_open": "the set cannot be opened",
    "unreadable": "an image or a mask cannot be read",
    "size_mismatch": "image, mask and index are not of one size",
    "empty_instance": "an instance has no pixel",
    "wrong_area": "an instance's area is not that of its mask",
    "wrong_box": "an instance's box is not that of its mask",
    "id_out_of_range": "an instance's number is out of range",
    "outside_image": "an instance reaches out of its image",
    "duplicate_instance": "two instances have the same mask",
    "duplicate_image": "two images have the same pixels",
}
WARNINGS = {
    "unlabelled_image": "an image has no instance",
    "unlisted_id": "a mask holds a value that the index does not list",
    "whole_image": "an instance covers its whole image",
}
KINDS = {**ERRORS, **WARNINGS}


@dataclass(frozen=True)
class Problem:
    """One fault.

    Attributes:
        kind: a key of `ERRORS`, or of `WARNINGS`: worth a look, and nothing that training or evaluation stumbles over.
        message: names the file or image, what was found and what to do.
        image: name of the image in its set, or "".
        instance: id of the instance, or "".
    """

    kind: str
    message: str
    image: str = ""
    instance: str = ""

    @property
    def is_error(self) -> bool:
        return self.kind in ERRORS


@dataclass(frozen=True)
class Report:
    """What is in a set and what is wrong with it.

    Attributes:
        name: of the set.
        images, instances: how many the set has; images without instances are among the problems.
        checked: how many of the images were read.
        sizes: "height×width" of the checked images -> how many.
        categories: class -> instances, the most frequent first.
        areas: lower bound of a bin in pixels (0, 1, 4, 16, …: the next one ends it) -> instances.
        gsd: metres per pixel -> images; "unknown" too.
        ignored: share of the checked pixels that are ignored.
        problems: all of them.
    """

    name: str
    images: int = 0
    instances: int = 0
    checked: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    areas: Mapping[int, int] = field(default_factory=dict)
    gsd: Mapping[str, int] = field(default_factory=dict)
    ignored: float = 0.0
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.is_error)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: every problem is there."""
        levels = [{"level": "error" if each.is_error else "warning"} | asdict(each) for each in self.problems]
        return {**asdict(self), "problems": levels, "errors": len(self.errors), "warnings": len(self.warnings)}


def area_bins(areas: Iterable[int]) -> dict[int, int]:
    """Counts by bins whose bounds are powers of 4, the areas of squares of 1, 2, 4, 8, … pixels a side."""
    found = Counter(0 if area < 1 else 4 ** ((area.bit_length() - 1) // 2) for area in areas)
    return {low: found[low] for low in sorted(found)}


def gsd_counts(values: Iterable[float]) -> dict[str, int]:
    """Counts by metres per pixel, to three digits, the finest first."""
    found = Counter(math.inf if math.isnan(value) else float(f"{value:.3g}") for value in values)
    return {"unknown" if math.isinf(value) else f"{value:g}": found[value] for value in sorted(found)}


def problem_lines(problems: Sequence[Problem], most: int = 10) -> list[str]:
    """Problems by kind, errors first, at most `most` of a kind and how many more there are."""
    lines = []
    for kind, meaning in KINDS.items():
        of_kind = [problem for problem in problems if problem.kind == kind]
        if of_kind:
            level = "error" if kind in ERRORS else "warning"
            lines.append(f"{level} {kind} ({len(of_kind)}): {meaning}")
            lines += [f"  {problem.message}" for problem in of_kind[:most]]
            if len(of_kind) > most:
                lines.append(f"  and {len(of_kind) - most} more; all in report.json")
    return lines


def markdown(reports: Sequence[Report], most: int = 50) -> str:
    """All reports as one document: a table of the sets, then histograms and problems of each."""
    head = ["set", "images", "instances", "ignored", "errors", "warnings"]
    rows = [
        [
            each.name,
            f"{each.images:,}",
            f"{each.instances:,}",
            f"{100 * each.ignored:.2f} %",
            *(str(len(found)) for found in (each.errors, each.warnings)),
        ]
        for each in reports
    ]
    parts = ["# Data check", _table(head, rows)]
    for each in reports:
        parts.append(f"## {each.name}")
        if each.checked < each.images:
            parts.append(f"{each.checked:,} of {each.images:,} images were read; `limit=null` reads all.")
        for title, counts in _histograms(each):
            if counts:
                parts.append(_table([title, "", ""], [[name, f"{count:,}", _bar(count, counts)] for name, count in counts]))
        parts.append("\n".join(["```", *problem_lines(each.problems, most), "```"]) if each.problems else "No problem.")
    return "\n\n".join(parts) + "\n"


def _histograms(report: Report) -> list[tuple[str, list[tuple[str, int]]]]:
    sizes = sorted(report.sizes.items(), key=lambda item: -item[1])
    shown = sizes[:12] + ([("other", sum(count for _, count in sizes[12:]))] if len(sizes) > 12 else [])
    bins = [("0" if low == 0 else f"{low:,} to {4 * low - 1:,}", count) for low, count in report.areas.items()]
    classes = [(name or "(no class)", count) for name, count in report.categories.items()]
    return [
        ("image size (height×width)", shown),
        ("class", classes),
        ("area (pixels)", bins),
        ("metres per pixel", list(report.gsd.items())),
    ]


def _bar(count: int, counts: Sequence[tuple[str, int]], longest: int = 20) -> str:
    return "█" * max(1, round(longest * count / max(other for _, other in counts)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
