"""What a report's page holds, made of finished runs: tables, then figures in `<out>/figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfm_isrefiner.cli.paper_table import write_tables
from vfm_isrefiner.cli.replay import CannotReplay, replay_of
from vfm_isrefiner.cli.report import Wanted
from vfm_isrefiner.evaluation import Evaluation
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.report.apart import what_stands_apart
from vfm_isrefiner.report.assembly import differences, tables_of
from vfm_isrefiner.report.breakdown import by_class, by_size
from vfm_isrefiner.report.compared import compared_runs
from vfm_isrefiner.report.contrast import contrasts
from vfm_isrefiner.report.curves import click_curves
from vfm_isrefiner.report.filling import Measured, set_columns
from vfm_isrefiner.report.intervals import breakdown_plot, difference_plot, differences_of
from vfm_isrefiner.report.page import Part, ReportPage
from vfm_isrefiner.report.page_html import Picture
from vfm_isrefiner.report.panels import contrast_panels, modulation_panels
from vfm_isrefiner.report.paper_tables import NO, REFERENCE, YES
from vfm_isrefiner.report.repetitions import Repetitions, grouped, named
from vfm_isrefiner.report.report_table import ReportTable, Row
from vfm_isrefiner.report.runs import Run

THRESHOLD = 0.85

Named = tuple[str, Run]  # as tables call it
Histories = Sequence[tuple[Instance, list[Interaction]]]


def content(runs: Sequence[Run], wanted: Wanted) -> ReportPage:
    """The page of `runs`; tables and figures are also left in `wanted.out`."""
    figures = wanted.out / "figures"
    measured = Measured()
    tables = tables_of(runs, quoted=wanted.quoted, measured=measured)
    write_tables(tables, wanted.out, "tables")
    told = [each for table in tables if (each := differences(table)) is not None]
    sizes = [*by_size(runs, measured=measured), *by_class(runs, measured=measured)]
    groups = grouped(runs)
    labels = named(groups)
    contrast, modulation, left_out = _played(groups, labels, wanted, figures)
    return ReportPage(
        wanted.title,
        f"{_counted(len(groups), 'method')}, {_counted(len(runs), 'run')}, on "
        f"{_counted(len({name for run in runs for name in run.evaluations}), 'set')}.",
        compared_runs(runs),
        (*what_stands_apart(runs), *left_out),
        Part(tuple(tables)),
        Part(tuple(told), tuple(_differences(table, figures) for table in tables if differences_of(table))),
        Part(tuple(sizes), tuple(_breakdown(table, figures) for table in sizes)),
        Part(pictures=tuple(_curves(tables, groups, labels, measured, figures))),
        contrast,
        modulation,
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _differences(table: ReportTable, figures: Path) -> Picture:
    file = difference_plot(differences_of(table), figures / f"{table.key}-differences.png")
    return Picture(file, table.title, f"Paired differences of NoC and their 95 % intervals: {table.title}")


def _breakdown(table: ReportTable, figures: Path) -> Picture:
    return Picture(breakdown_plot(table, figures / f"{table.key}.png"), table.title, f"{table.title}, with 95 % intervals")


def _curves(
    tables: Sequence[ReportTable], groups: Sequence[Repetitions], labels: Sequence[str], measured: Measured, figures: Path
) -> list[Picture]:
    """Of the rows of each table of clicks; of all runs where there is no such table."""
    pictures = []
    for table in tables:
        rows = {name: _called(table, row) for row in table.rows for name in row.runs}
        chosen = [(group, rows[group.runs[0].name]) for group in groups if group.runs[0].name in rows]
        if len(chosen) > 1 and any(column.ranked for column in table.columns):
            pictures += _figure(chosen, measured, figures / f"curves-{table.key}", table.title)
    return pictures or _figure(list(zip(groups, labels, strict=True)), measured, figures / "curves", "all runs")


def _called(table: ReportTable, row: Row) -> str:
    """A row in a legend; where its labels are only yes and no, with what they are of."""
    if set(row.labels) <= {YES, NO}:
        return ", ".join(f"{heading} {label}" for heading, label in zip(table.labels, row.labels, strict=True))
    return " ".join(filter(None, row.labels))


def _figure(chosen: Sequence[tuple[Repetitions, str]], measured: Measured, file: Path, title: str) -> list[Picture]:
    """Curves of all sets; evaluations that are not alike are not put on one axis."""
    plots: dict[str, dict[str, list[Evaluation]]] = {}
    for one in set_columns([group for group, _ in chosen], measured):
        for group, label in chosen:
            if one.conditions.instances and (found := measured.by_seed(group, one)):
                plots.setdefault(one.title, {})[label] = list(found.values())
    if not plots:
        return []
    click_curves(plots, file.with_suffix(".pdf"))
    drawn = click_curves(plots, file.with_suffix(".png"))
    return [Picture(drawn, f"{title}: over seeds ± deviation.", f"Curves of the mean IoU against clicks: {title}")]


def _played(
    groups: Sequence[Repetitions], labels: Sequence[str], wanted: Wanted, figures: Path
) -> tuple[Part, Part, tuple[str, ...]]:
    """Where two runs differ most, and modulated maps of the first of them; why there are none.

    Pairs are tried in their order until one can be played; the maps need the first run alone.
    """
    if not wanted.panels:
        return Part(), Part(), ()
    first, others = _pairs(groups, labels, wanted.pair)
    if not others:
        return Part(), Part(), ("Pictures of two runs: there are no two that were measured alike.",)
    reasons: dict[str, None] = {}
    try:
        replay, maps = replay_of(first[1]), Part()
        for other, name in others:
            try:
                found = _found(first[1], other[1], name, wanted.panels)
                played = replay.histories(name, found)
                maps = maps if maps.pictures else _modulation(first, name, played, wanted.click, figures)
                theirs = replay_of(other[1]).histories(name, found)
                return _contrast(first, other, name, (played, theirs), figures), maps, ()
            except CannotReplay as reason:
                reasons[f"Pictures: {reason}"] = None
        return Part(), maps, tuple(reasons)
    except CannotReplay as reason:
        return Part(), Part(), (f"Pictures: {reason}",)


def _found(one: Run, two: Run, name: str, count: int) -> list[tuple[str, str]]:
    """Source and id of the instances on which two runs differ most.

    Raises:
        CannotReplay: they have none to compare.
    """
    try:
        found = contrasts(one.evaluations[name], two.evaluations[name], threshold=THRESHOLD, count=count)
    except ValueError as error:
        raise CannotReplay(str(error)) from error
    return [(each.source, each.id) for each in found]


def _contrast(first: Named, second: Named, name: str, played: tuple[Histories, Histories], figures: Path) -> Part:
    both = [{first[0]: mine, second[0]: other} for mine, other in zip(*played, strict=True)]
    threshold = first[1].evaluations[name].protocol.threshold
    file = contrast_panels(both, figures / "contrast.png", threshold=threshold)
    contrast_panels(both, figures / "contrast.pdf", threshold=threshold)
    alt = f"Predictions of {first[0]} and {second[0]} click by click"
    return Part(pictures=(Picture(file, f"{name}: {_told(first)} and {_told(second)}", alt),))


def _modulation(first: Named, name: str, played: Histories, click: int, figures: Path) -> Part:
    """Nothing where an instance has a single click: there is no map before it."""
    click = min(click, *(len(history) for _, history in played))
    if click < 2:
        return Part()
    maps = modulation_panels(played, figures / "modulation.png", click=click)
    modulation_panels(played, figures / "modulation.pdf", click=click)
    return Part(
        pictures=(Picture(maps, f"{name}, the network of {_told(first)}", "Probability maps before and after modulation"),)
    )


def _told(named: Named) -> str:
    label, run = named
    return label if run.seed is None or "seed=" in label else f"{label} (seed {run.seed})"


def _pairs(
    groups: Sequence[Repetitions], labels: Sequence[str], wanted: Sequence[str]
) -> tuple[Named, list[tuple[Named, str]]]:
    """A run, and the others that were measured alike on some set, with that set.

    Those asked for, else ours and the others from the one that is furthest from it.

    Raises:
        ValueError: a name or folder is none of the runs', or not two are given.
    """
    runs = [(label, run) for group, label in zip(groups, labels, strict=True) for run in group.runs]
    if wanted:
        if len(wanted) != 2:
            raise ValueError(f"pair={','.join(wanted)}: give two names or folders.")
        one, two = (_named(runs, word) for word in wanted)
        return one, [(two, name) for name in _shared(one[1], two[1])]
    reference = next((each for each in runs if _is_ours(each[1])), runs[0])
    options = [(each, name) for each in runs if each[0] != reference[0] for name in _shared(reference[1], each[1])]
    gaps = [abs(_noc(other[1], name) - _noc(reference[1], name)) for other, name in options]
    order = sorted((place for place, gap in enumerate(gaps) if gap == gap), key=lambda place: -gaps[place])  # no NaN
    return reference, [options[place] for place in order]


def _named(runs: Sequence[Named], word: str) -> Named:
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
    return all(run.settings.get(name) == value for name, value in REFERENCE.items())
