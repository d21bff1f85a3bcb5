"""One row a run: each run leaves `run.json`, and a multirun gathers them into one table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from vfm_isrefiner.files import write_whole

NOT_IN_NAME = ("hydra.", "paths.", "hydra/", "trainer=", "logger=")
SHOWN = ("noc80", "noc85", "noc90", "miou@1", "miou@5")


def write_row(folder: Path, name: str | None, scores: Mapping[str, float]) -> None:
    """`run.json`: the run's name, what was asked for and what came out. Without a name the run is called by its overrides."""
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    telling = [override for override in overrides if not override.startswith(NOT_IN_NAME)]
    content = {"name": name or " ".join(telling) or "defaults", "overrides": overrides, "scores": dict(scores)}
    write_whole(folder / "run.json", f"{json.dumps(content, indent=2)}\n".encode())


def flat_scores(summaries: Mapping[str, Mapping[str, Any]], prefix: str = "") -> dict[str, float]:
    """The numbers of some summaries that go into a row: `<prefix><set>/noc80` and so on; undefined ones are left out."""
    row: dict[str, Any] = {}
    for source, summary in summaries.items():
        row |= {f"{prefix}{source}/noc{threshold}": value for threshold, value in summary["noc"].items()}
        row |= {f"{prefix}{source}/miou@{k}": summary["miou"].get(k) for k in ("1", "5", "20")}
    return {name: float(value) for name, value in row.items() if value is not None}


def gather(folder: Path) -> list[dict[str, Any]]:
    """The rows of all runs below `folder`, in the order of their numbers; also written there as `results.csv`."""
    files = sorted(folder.glob("*/run.json"), key=lambda file: (len(file.parent.name), file.parent.name))
    runs = [(file.parent.name, json.loads(file.read_text())) for file in files]
    rows = [{"run": number, "name": run["name"], **run["scores"]} for number, run in runs]
    if rows:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(folder / "results.csv", text.getvalue().encode())
    return rows


@final
class CollectRuns(Callback):
    """Hydra's callback at the end of a multirun: gathers the rows, prints them, says where they are."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After the last job."""
        folder = Path(config.hydra.sweep.dir)
        rows = gather(folder)
        if not rows:
            return
        columns = [name for row in rows for name in row if name.rpartition("/")[2] in SHOWN]
        columns = list(dict.fromkeys(columns))
        table = Table(title=f"{len(rows)} runs")
        for heading in ("run", "name", *columns):
            table.add_column(heading)
        for row in rows:
            table.add_row(row["run"], row["name"], *(f"{row[name]:.3f}" if name in row else "-" for name in columns))
        Console().print(table)
        print(f"left in {folder}: results.csv and a folder for each run")
