"""A progress bar on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vfm_isrefiner.evaluation.result import InstanceResult


@contextmanager
def progress_bar(title: str, total: int, shown: bool) -> Iterator[Callable[[InstanceResult], None]]:
    """Gives the function to call with every finished instance; shows how many there are and their last IoU, on average."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[score]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    last: list[float] = []
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task(title, total=total, score="")

        def advance(result: InstanceResult) -> None:
            last.extend(result.ious[-1:])
            score = f"IoU {sum(last) / len(last):.3f} at the last click" if last else ""
            bar.update(task, advance=1, score=score)

        yield advance
