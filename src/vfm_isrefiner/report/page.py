"""A report as one HTML file that needs nothing else: tables, figures, what was compared and what could not be."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vfm_isrefiner import __version__
from vfm_isrefiner.files import write_whole
from vfm_isrefiner.report.compared import ComparedRun
from vfm_isrefiner.report.page_html import Picture, listed, pictures, runs_table, section, table_of, text
from vfm_isrefiner.report.report_table import ReportTable

STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("css", "js"))


@dataclass(frozen=True)
class Heading:
    """Of a section: its anchor, its title, and how to read what it holds."""

    anchor: str
    title: str
    about: str


RUNS = Heading("runs", "What was compared", "Repetitions with several seeds are one row. Settings are shown where rows differ.")
LEFT_OUT = Heading("not-compared", "What was not compared, and why", "")
TABLES = Heading(
    "tables",
    "Tables",
    "NoC85 is the mean number of clicks until an object's IoU first reaches 85 %; fewer is better. "
    "Bold is the best of a column, underlined the second best. A heading sorts by its column.",
)
DIFFERENCES = Heading(
    "differences",
    "Differences, and whether they are real",
    "Each object is compared with itself under two methods. A filled dot is told apart from no difference by its 95 % "
    "interval, a hollow one is not.",
)
BREAKDOWN = Heading("breakdown", "By object size and class", "Few objects make wide intervals.")
CURVES = Heading("curves", "Mean IoU per click", "In brackets is the mean IoU in percent after the last click.")
CONTRAST = Heading(
    "contrast",
    "Where two runs differ most",
    "Not typical objects but the extreme ones, whichever run is better on them. Green is matched, red is missed or too much, "
    "the line is the true outline; round dots are positive clicks, square ones negative, and the newest is the largest.",
)
MODULATION = Heading(
    "modulation",
    "Modulation of the probability",
    "The probability map before a click, and as each modulation hands it to the network with that click.",
)


@dataclass(frozen=True)
class Part:
    """What stands in one section: tables, then pictures."""

    tables: tuple[ReportTable, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class ReportPage:
    """The content of a report; a part without content is said to have none.

    Attributes:
        title: of the page. lead: one paragraph below it.
        runs: what is compared. not_compared: sentences on what could not be compared, and why.
        tables: the main tables. differences: paired differences and their intervals. breakdown: by size and class.
        curves: mean IoU per click (Fig. 7). contrast: where two runs differ most (Fig. 8). modulation: Fig. 10.

    Raises:
        ValueError: two tables have one key, which is their place in the page.
    """

    title: str
    lead: str = ""
    runs: tuple[ComparedRun, ...] = ()
    not_compared: tuple[str, ...] = ()
    tables: Part = field(default_factory=Part)
    differences: Part = field(default_factory=Part)
    breakdown: Part = field(default_factory=Part)
    curves: Part = field(default_factory=Part)
    contrast: Part = field(default_factory=Part)
    modulation: Part = field(default_factory=Part)

    def __post_init__(self) -> None:
        keys = [table.key for _, part, _ in self.parts() for table in part.tables]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"Tables of a page need keys of their own, got {', '.join(twice)} more than once.")

    def parts(self) -> list[tuple[Heading, Part, str]]:
        """Each section of tables and pictures: its heading, its content, and what is said where there is none."""
        return [
            (TABLES, self.tables, "No table: no run has a score."),
            (DIFFERENCES, self.differences, "No difference: it takes two runs on the same instances by the same protocol."),
            (BREAKDOWN, self.breakdown, "No breakdown: no run has instances to divide."),
            (CURVES, self.curves, "No curve: no run has a mean IoU after each click."),
            (CONTRAST, self.contrast, "No panels: instances are played again only where networks and data are at hand."),
            (MODULATION, self.modulation, "No modulated maps: they are drawn only where a network and its data are at hand."),
        ]


def write_page(path: str | Path, page: ReportPage) -> Path:
    """Write `page` as one HTML file that loads nothing: pictures lie inside.

    Raises:
        FileNotFoundError: a picture is not there. ValueError: a picture is neither PNG nor SVG.
        OSError: the file could not be written.
    """
    path = Path(path)
    write_whole(path, html_of(page).encode())
    return path


def html_of(page: ReportPage) -> str:
    """The page as text; whatever comes from runs is escaped."""
    headings, body = [RUNS, LEFT_OUT], [_section(RUNS, runs_table(page.runs), "No run was given.")]
    body.append(_section(LEFT_OUT, listed(page.not_compared), "Everything that was given could be compared."))
    for heading, part, empty in page.parts():
        headings.append(heading)
        content = "".join(map(table_of, part.tables)) + pictures(part.pictures)
        body.append(_section(heading, content, empty))
    links = "".join(f'<li><a href="#{each.anchor}">{text(each.title)}</a></li>' for each in headings)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head>{_head(page.title)}</head>',
            f"<body><header><h1>{text(page.title)}</h1>{f'<p>{text(page.lead)}</p>' if page.lead else ''}</header>",
            f'<nav aria-label="Contents"><ul>{links}</ul></nav>',
            f"<main>{''.join(body)}</main>",
            f"<footer><p>Made by VFM-ISRefiner {text(__version__)}; this file needs no other.</p></footer>",
            f"<script>{SCRIPT.read_text()}</script>",
            "</body></html>\n",
        ]
    )


def _section(heading: Heading, content: str, empty: str) -> str:
    return section(heading.anchor, heading.title, heading.about if content else "", content or f"<p>{text(empty)}</p>")


def _head(title: str) -> str:
    return "".join(
        [
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy([SCRIPT.read_text()])}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE.read_text()}</style>",
        ]
    )


def _policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded, and no script runs but ours. Styles are free, as pictures in SVG have some of their own."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    rules = ("default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src {allowed}", "base-uri 'none'")
    return "; ".join((*rules, "form-action 'none'"))
