"""What a report's page holds, made of finished runs: tables, then figures in `<out>/figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfm_isrefiner.cli.paper_table import write_tables
from vfm_isrefiner.cli.replay import CannotReplay, replay_of
from vfm_isrefiner.cli.report import Wanted
from vfm_isrefiner.evaluation import Evaluation
from vfm_isrefiner.report.apart import what_stands_apart
from vfm_isrefiner.report.assembly import differences, tables_of
from vfm_isrefiner.report.breakdown import by_class, by_size
from vfm_isrefiner.report.compared import compared_runs
from vfm_isrefiner.report.contrast import contrasts
from vfm_isrefiner.report.curves import click_curves
from vfm_isrefiner.report.intervals import breakdown_plot, difference_plot, differences_of
from vfm_isrefiner.report.page import Part, ReportPage
from vfm_isrefiner.report.page_html import Picture
from vfm_isrefiner.report.panels import contrast_panels, modulation_panels
from vfm_isrefiner.report.repetitions import Repetitions, grouped, named
from vfm_isrefiner.report.report_table import ReportTable
from vfm_isrefiner.report.runs import Run

THRESHOLD = 0.85


def content(runs: Sequence[Run], wanted: Wanted) -> ReportPage:
    """The page of `runs`; tables and figures are also left in `wanted.out`."""
    figures = wanted.out / "figures"
    tables = tables_of(runs, quoted=wanted.quoted)
    write_tables(tables, wanted.out, "tables")
    told = [each for table in tables if (each := differences(table)) is not None]
    sizes = [*by_size(runs), *by_class(runs)]
    groups = grouped(runs)
    labels = named(groups)
    contrast, modulation, left_out = _played(groups, labels, wanted, figures)
    return ReportPage(
        wanted.title,
        f"{len(runs)} runs of {len(groups)} things, on {len({name for run in runs for name in run.evaluations})} sets.",
        compared_runs(runs),
        (*what_stands_apart(runs), *left_out),
        Part(tuple(tables)),
        Part(tuple(told), tuple(_differences(table, figures) for table in tables if differences_of(table))),
        Part(tuple(sizes), tuple(_breakdown(table, figures) for table in sizes)),
        Part(pictures=tuple(_curves(groups, labels, figures))),
        contrast,
        modulation,
    )


def _differences(table: ReportTable, figures: Path) -> Picture:
    file = difference_plot(differences_of(table), figures / f"{table.key}-differences.png")
    return Picture(file, table.title, f"Paired differences of NoC and their 95 % intervals: {table.title}")


def _breakdown(table: ReportTable, figures: Path) -> Picture:
    return Picture(breakdown_plot(table, figures / f"{table.key}.png"), table.title, f"{table.title}, with 95 % intervals")


def _curves(groups: Sequence[Repetitions], labels: Sequence[str], figures: Path) -> list[Picture]:
    """One figure of all sets; evaluations that are not alike are not put on one axis."""
    plots: dict[str, dict[str, list[Evaluation]]] = {}
    for group, label in zip(groups, labels, strict=True):
        for run in group.runs:
            for name, each in run.evaluations.items():
                plots.setdefault(_axis(name, each), {}).setdefault(label, []).append(each)
    file = click_curves(plots, figures / "curves.png")
    click_curves(plots, figures / "curves.pdf")
    return [Picture(file, "Mean IoU after each click, over seeds ± deviation.", "Curves of the mean IoU against clicks")]


def _axis(name: str, evaluation: Evaluation) -> str:
    return f"{name}, {evaluation.protocol.name}, data {evaluation.data[:6]}" if evaluation.data else name


def _played(
    groups: Sequence[Repetitions], labels: Sequence[str], wanted: Wanted, figures: Path
) -> tuple[Part, Part, tuple[str, ...]]:
    """Where two runs differ most, and modulated maps of the first of them; why there are none."""
    if not wanted.panels:
        return Part(), Part(), ()
    try:
        chosen = _pair(groups, labels, wanted.pair)
        if chosen is None:
            return Part(), Part(), ("Pictures of two runs: there are no two that were measured alike.",)
        return *_pictures(chosen, wanted, figures), ()
    except CannotReplay as reason:
        return Part(), Part(), (f"Pictures: {reason}",)


def _pictures(chosen: tuple[tuple[str, Run], tuple[str, Run], str], wanted: Wanted, figures: Path) -> tuple[Part, Part]:
    (first, one), (second, two), name = chosen
    found = contrasts(one.evaluations[name], two.evaluations[name], threshold=THRESHOLD, count=wanted.panels)
    keys = [(each.source, each.id) for each in found]
    played = replay_of(one).histories(name, keys)
    others = replay_of(two).histories(name, keys)
    threshold = one.evaluations[name].protocol.threshold
    both = [{first: mine, second: other} for mine, other in zip(played, others, strict=True)]
    file = contrast_panels(both, figures / "contrast.png", threshold=threshold)
    contrast_panels(both, figures / "contrast.pdf", threshold=threshold)
    clicks = min(wanted.click, one.evaluations[name].protocol.max_clicks)
    maps = modulation_panels(played, figures / "modulation.png", click=clicks)
    modulation_panels(played, figures / "modulation.pdf", click=clicks)
    return (
        Part(pictures=(Picture(file, f"{name}: {first} and {second}", f"Predictions of {first} and {second} click by click"),)),
        Part(pictures=(Picture(maps, f"{name}, the network of {first}", "Probability maps before and after modulation"),)),
    )


def _pair(
    groups: Sequence[Repetitions], labels: Sequence[str], wanted: Sequence[str]
) -> tuple[tuple[str, Run], tuple[str, Run], str] | None:
    """Two runs that were measured alike on some set, and that set: those asked for, else ours and the one furthest from it.

    Raises:
        ValueError: a name or folder is none of the runs', or not two are given.
    """
    runs = [(label, run) for group, label in zip(groups, labels, strict=True) for run in group.runs]
    if wanted:
        if len(wanted) != 2:
            raise ValueError(f"pair={','.join(wanted)}: give two names or folders.")
        one, two = (_named(runs, word) for word in wanted)
        shared = _shared(one[1], two[1])
        return (one, two, shared[0]) if shared else None
    reference = next((each for each in runs if _is_ours(each[1])), runs[0])
    options = [(each, name) for each in runs if each[0] != reference[0] for name in _shared(reference[1], each[1])]
    if not options:
        return None
    other, name = max(options, key=lambda option: abs(_noc(option[0][1], option[1]) - _noc(reference[1], option[1])))
    return reference, other, name


def _named(runs: Sequence[tuple[str, Run]], word: str) -> tuple[str, Run]:
    for label, run in runs:
        if word in (label, run.name) or Path(word).resolve() == run.folder.resolve():
            return label, run
    raise ValueError(f"pair: there is no run {word}; its name or folder is one of {', '.join(label for label, _ in runs)}.")


def _shared(one: Run, two: Run) -> list[str]:
    """Sets that both were evaluated on alike."""
    return [
        name
        for name, each in one.evaluations.items()
        if (other := two.evaluations.get(name)) is not None
        and (each.protocol, each.data, each.target_iou) == (other.protocol, other.data, other.target_iou)
    ]


def _noc(run: Run, name: str) -> float:
    value = run.evaluations[name].summary()["noc"][f"{100 * THRESHOLD:.0f}"]
    return float("nan") if value is None else float(value)


def _is_ours(run: Run) -> bool:
    from vfm_isrefiner.report.paper_tables import REFERENCE

    return all(run.settings.get(name, value) == value for name, value in REFERENCE.items()) and bool(run.settings)
