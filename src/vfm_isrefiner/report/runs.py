"""`Run`: what a finished run left, read from its folder; all that the tables and figures of a report start from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vfm_isrefiner.evaluation import Evaluation

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """One finished run of `isrefiner train` or `isrefiner evaluate`.

    Attributes:
        folder: where it lies. name: as it was called.
        settings: what decided its result, by dotted name ("model.theta", "modulation", "seed", ...).
        evaluations: its results on each set of instances, by the set's name.
        cost: "parameters" and "trainable" (counts), "flops_per_image" and "flops_per_click"; empty where not counted.
        experiment: the experiment that it was started by, or None.
    """

    folder: Path
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    experiment: str | None = None

    @property
    def seed(self) -> int | None:
        """The seed, or None where it was not written down."""
        return self.settings.get("seed")

    def same_but_for_seed(self, other: Run) -> bool:
        """Whether the two are repetitions of one thing, whose scores may be averaged."""
        return _identity(self.settings) == _identity(other.settings) and (bool(self.settings) or self.name == other.name)


def read_run(folder: str | Path) -> Run:
    """The run that lies in `folder`.

    Raises:
        FileNotFoundError: `folder` has no `run.json`, or an evaluation that it names is missing.
        ValueError: `run.json` is no JSON object of ours.
    """
    folder = Path(folder)
    file = folder / RUN_FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} holds no finished run: {RUN_FILE} is missing. `isrefiner train` and `isrefiner evaluate` write it "
            "when they end."
        )
    try:
        content = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON ({error}); run it again.") from error
    if not isinstance(content, dict) or "name" not in content:
        raise ValueError(f"{file} is no row of a run: it has no name; run it again.")
    return Run(
        folder,
        content["name"],
        content.get("settings", {}),
        {name: Evaluation.load(folder / place) for name, place in content.get("evaluations", {}).items()},
        content.get("cost", {}),
        content.get("experiment"),
    )


def find_runs(places: Sequence[str | Path]) -> list[Run]:
    """All finished runs in and below `places`, in the order of their paths, each once; runs without an evaluation are left out.

    Raises:
        FileNotFoundError: a place does not exist, or there is no finished run with an evaluation in any of them.
    """
    folders: dict[Path, None] = {}
    for place in places:
        if not Path(place).is_dir():
            raise FileNotFoundError(f"{place} is not a folder; give folders of runs, or one that holds them (outputs/).")
        folders |= dict.fromkeys(sorted(file.parent.resolve() for file in Path(place).rglob(RUN_FILE)))
    runs = [run for run in map(read_run, folders) if run.evaluations]
    if not runs:
        raise FileNotFoundError(
            f"no finished run with an evaluation in {', '.join(map(str, places))}: a run leaves {RUN_FILE} when it ends "
            "(with test=true), `isrefiner evaluate` likewise."
        )
    return runs


def beside(name: str) -> bool:
    """Whether a setting does not make another thing of a run: its seed, what it was tested on, where the data lie."""
    last = name.rpartition(".")[2]  # "data.seed" follows the run's
    return last in ("seed", "root") or name in ("test", "test_sets", "sets") or name.startswith(("data.test.", "data.val."))


def _identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if not beside(name)}
