"""The end of a multirun: its rows in one table, and the paper's table where it was one of the paper's experiments."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from vfm_isrefiner.files import write_whole
from vfm_isrefiner.report.runs import RUN_FILE

NOT_IN_NAME = ("hydra.", "paths.", "hydra/", "trainer=", "logger=", "experiment=")
SHOWN = ("noc80", "noc90", "miou@5")  # fit into 80 columns; results.csv has all


def asked_for(name: str | None) -> dict[str, Any]:
    """What a row of a run says of how it was called: `name`, else by its telling overrides; the overrides; the experiment."""
    if not HydraConfig.initialized():
        return {"name": name or "defaults", "overrides": [], "experiment": None}
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    telling = [override for override in overrides if not override.startswith(NOT_IN_NAME)]
    experiment = hydra.runtime.choices.get("experiment")
    return {"name": name or " ".join(telling) or experiment or "defaults", "overrides": overrides, "experiment": experiment}


def flat_scores(summaries: Mapping[str, Mapping[str, Any]], prefix: str = "") -> dict[str, float]:
    """The numbers of some summaries that go into a row: `<prefix><set>/noc80` and so on; undefined ones are left out."""
    row: dict[str, Any] = {}
    for source, summary in summaries.items():
        row |= {f"{prefix}{source}/noc{threshold}": value for threshold, value in summary["noc"].items()}
        row |= {f"{prefix}{source}/miou@{k}": summary["miou"].get(k) for k in ("1", "5", "20")}
    return {name: float(value) for name, value in row.items() if value is not None}


def gather(folders: Sequence[Path], place: Path) -> list[dict[str, Any]]:
    """The rows of the finished runs in `folders`; also written to `place` as `results.csv`."""
    files = [folder / RUN_FILE for folder in folders if (folder / RUN_FILE).is_file()]
    runs = [(file.parent.name, json.loads(file.read_text())) for file in files]
    rows = [{"run": number, "name": run["name"], **run["scores"]} for number, run in runs]
    if rows:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(place / "results.csv", text.getvalue().encode())
    return rows


@final
class CollectRuns(Callback):
    """Hydra's callback at the end of a multirun: gathers the rows of its jobs, prints them, says where they are.

    Args:
        table: of the paper ("table5"), to be made of the jobs; None makes a plain one.
    """

    def __init__(self, table: str | None = None) -> None:
        self.table = table
        self._folders: list[Path] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """After each job, where jobs run in this process."""
        self._folders.append(Path(config.hydra.runtime.output_dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After the last job."""
        place = Path(config.hydra.sweep.dir)
        folders = list(dict.fromkeys(self._folders)) or by_number(place)
        rows = gather(folders, place)
        missing = len(folders) - len(rows)
        if rows and self.table is not None:
            from vfm_isrefiner.cli.paper_table import write_table  # here: reads Parquet, which a plain sweep need not

            write_table(folders, self.table, place)
        elif rows:
            Console().print(plain_table(rows))
            print(f"left in {place}: results.csv and a folder for each run")
        if missing:
            print(f"{missing} of {len(folders)} jobs have no result yet: stopped, or run by another process. Run it again.")


def by_number(place: Path) -> list[Path]:
    """The folders of a multirun whose jobs ran elsewhere."""
    return sorted((file.parent for file in place.glob(f"**/{RUN_FILE}")), key=lambda folder: (len(folder.name), folder.name))


def plain_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row a run, with the scores that are worth a look."""
    columns = [name for row in rows for name in row if name.rpartition("/")[2] in SHOWN]
    columns = list(dict.fromkeys(columns))
    if all(any(name.startswith("test/") for name in row) for row in rows):  # then scores for choices are not what is reported
        columns = [name for name in columns if name.startswith("test/")]
    table = Table(title=f"{len(rows)} runs")
    for heading in ("run", "name", *columns):
        table.add_column(heading)
    for row in rows:
        table.add_row(row["run"], row["name"], *(f"{row[name]:.3f}" if name in row else "-" for name in columns))
    return table
