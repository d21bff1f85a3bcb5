"""Plays a protocol on sets of instances, alone or shared out over processes, and leaves results, tables and pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial as given
from pathlib import Path
from typing import Any

import torch

from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import Evaluation, EvaluationProtocol, evaluate
from vfm_isrefiner.evaluation.partial import PARTIAL_FILE, Partial
from vfm_isrefiner.evaluation.ranks import ALONE, Ranks, shared_out
from vfm_isrefiner.files import write_whole
from vfm_isrefiner.report import figures, tables
from vfm_isrefiner.rollout import RoundLike
from vfm_isrefiner.training.panels import Draw, draw_panels


@dataclass(frozen=True)
class Contestant:
    """What is evaluated.

    Attributes:
        round: plays one round; its network is in eval mode and on `device`.
        model: name and fingerprint, for the summary.
    """

    round: RoundLike
    model: str
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def evaluate_sets(
    contestant: Contestant,
    sets: Mapping[str, InstanceSet],
    rule: EvaluationProtocol,
    folder: Path,
    *,
    limit: int | None = None,
    batch_size: int = 8,
    panels: int = 4,
    go_on: bool = True,
    ranks: Ranks = ALONE,
    draw: Draw = figures.draw_clicks,
) -> dict[str, Any]:
    """Play `rule` on each set; per-instance results, summary, table, curve and panels go to `folder`.

    Each set has its own folder below `folder` where there is more than one. Every finished instance is written down at once.

    Args:
        limit: at most that many instances of each set. batch_size: instances that run together, on each rank.
        panels: pictures of that many instances of each set, made by `draw`.
        go_on: whether finished instances of a stopped evaluation in `folder` count; else they are dropped.
        ranks: which process this is; all of them share the instances out, and the first writes.

    Returns:
        The summary of each set by the set's name, on every rank.

    Raises:
        ValueError: `limit` is not at least 1, or `folder` holds results of another evaluation to go on with.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit} leaves no instance; give 1 or more, or null for all.")
    summaries = {}
    for name, instances in sets.items():
        chosen = instances if limit is None else instances.where(limit=limit)
        place = folder / set_folder(name, sets)
        play = given(_played, contestant, chosen, rule, _own(place, ranks), go_on=go_on, batch_size=batch_size, ranks=ranks)
        result = shared_out(play, len(chosen), ranks, batch_size)
        summaries[name] = result.summary()
        if ranks.first:
            result.save(place)
            draw_panels(contestant.round, chosen, rule, place / "panels", panels, draw, device=contestant.device)
        # only now: what is saved whole needs its parts no longer
        (_own(place, ranks) / PARTIAL_FILE).unlink(missing_ok=True)
        if ranks.world > 1:
            _own(place, ranks).rmdir()
    if ranks.first:
        _write_overview(summaries, folder)
    return summaries


def set_folder(name: str, sets: Collection[str]) -> str:
    """Where the results of set `name` of `sets` lie, below the folder of their evaluation."""
    return name if len(sets) > 1 else "."


def _own(place: Path, ranks: Ranks) -> Path:
    """Where this process writes finished instances down."""
    return place if ranks.world == 1 else place / f"rank-{ranks.rank}-of-{ranks.world}"


def _played(
    contestant: Contestant,
    chosen: InstanceSet,
    rule: EvaluationProtocol,
    place: Path,
    *,
    go_on: bool,
    batch_size: int,
    ranks: Ranks,
    indices: Sequence[int],
) -> Evaluation:
    if not go_on:
        (place / PARTIAL_FILE).unlink(missing_ok=True)
    data = chosen.fingerprint()
    with Partial.open(place, rule, contestant.model, data) as partial:
        if partial.done and ranks.first:
            print(f"{len(partial.done)} of {len(indices)} instances were finished before")
        rest = evaluate(
            contestant.round,
            chosen,
            rule,
            batch_size=batch_size,
            device=contestant.device,
            progress=ranks.first,
            indices=[index for index in indices if index not in partial.done],
            model=contestant.model,
            data=data,
            on_result=partial.write,
        )
        return partial.joined(rest)


def _write_overview(summaries: Mapping[str, Any], folder: Path) -> None:
    table = tables.markdown_table(summaries)
    write_whole(folder / "table.md", f"{table}\n".encode())
    figures.miou_curves(summaries, folder / "curve.png")
    each = " and a folder for each set with" if len(summaries) > 1 else ","
    print(f"{table}\n\nleft in {folder}: table.md, curve.png{each} summary.json, instances.parquet, panels/")
