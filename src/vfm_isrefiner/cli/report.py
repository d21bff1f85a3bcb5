"""`isrefiner report`: finished runs side by side: tables, differences and whether they are real, figures, one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfm_isrefiner.report.runs import Run

DESCRIPTION = """Compares finished runs: the tables of the paper that they fill and those of other sweeps, paired differences
with 95 % intervals, NoC by object size and class, mean IoU per click, the objects on which two runs differ most click by
click, the modulated maps, and one HTML page with all of it that needs no other file. Runs that were measured by different
protocols or on different data are never put in one column; the page says what differs.
"""
EXAMPLES = """settings:
  out=FOLDER       where to (report)
  quoted=BOOL      the paper's numbers beside ours, marked as quoted (true)
  panels=N         objects that are played again, for pictures of two runs and of the modulation (4; 0 plays none)
  pair=NAME,NAME   the two runs of those pictures, by name or folder; else ours and what differs most from it
  click=N          the click before which modulated maps are shown (4)
  title=TEXT       of the page

examples:
  isrefiner report outputs/tables                            all that the tables' experiments have finished
  isrefiner report outputs/2026-01-31 other/runs out=compared panels=8
  isrefiner report wandb:me/vfm-isrefiner?group=table5       runs whose W&B holds their files (docs/wandb.md)
"""


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        places: folders or `wandb:` words. The others are as `EXAMPLES` tells.
    """

    places: tuple[str, ...]
    out: Path = Path("report")
    quoted: bool = True
    panels: int = 4
    pair: tuple[str, ...] = ()
    click: int = 4
    title: str = "Comparison of runs"


def understood(words: Sequence[str]) -> Wanted:
    """The words of the command line.

    Raises:
        ValueError: an unknown setting, a value that it cannot have, or no place.
    """
    places = tuple(word for word in words if "=" not in word or word.startswith("wandb:") or Path(word).exists())
    given = dict(word.split("=", 1) for word in words if word not in places)
    unknown = set(given) - {"out", "quoted", "panels", "pair", "click", "title"}
    if unknown or not places:
        raise ValueError(
            f"{'unknown ' + ', '.join(sorted(unknown)) if unknown else 'no run given'}: write isrefiner report FOLDER… with "
            "out, quoted, panels, pair, click or title =…; isrefiner report --help tells more."
        )
    return Wanted(
        places,
        Path(given.get("out", "report")),
        {"true": True, "false": False}[_one_of(given.get("quoted", "true"), ("true", "false"), "quoted")],
        _number(given.get("panels", "4"), "panels", 0),
        tuple(filter(None, given.get("pair", "").split(","))),
        _number(given.get("click", "4"), "click", 2),
        given.get("title", "Comparison of runs"),
    )


def run(wanted: Wanted) -> Path:
    """Make the report; the page's file."""
    from vfm_isrefiner.cli.report_content import content
    from vfm_isrefiner.cli.wandb_runs import fetched
    from vfm_isrefiner.report.page import write_page
    from vfm_isrefiner.report.runs import find_runs

    runs: list[Run] = find_runs(fetched(wanted.places, wanted.out / "wandb"))
    page = write_page(wanted.out / "report.html", content(runs, wanted))
    print(f"{len(runs)} runs; left in {wanted.out}: report.html, tables.md, tables.tex, tables.csv, figures/")
    return page


def _number(word: str, name: str, least: int) -> int:
    if not word.isdecimal() or int(word) < least:
        raise ValueError(f"{name}={word}: give a whole number of {least} or more.")
    return int(word)


def _one_of(word: str, choices: tuple[str, ...], name: str) -> str:
    if word not in choices:
        raise ValueError(f"{name}={word}: give {' or '.join(choices)}.")
    return word


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="isrefiner report", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="FOLDER | wandb:… | name=value", help="runs, and settings of the report")
    words = parser.parse_args().words

    from vfm_isrefiner.cli.settings import quiet, short_errors

    try:
        wanted = understood(words)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    with short_errors():
        quiet()
        run(wanted)


if __name__ == "__main__":
    main()
