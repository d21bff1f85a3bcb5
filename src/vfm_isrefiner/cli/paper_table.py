"""Writes tables as Markdown, LaTeX and CSV, and the one with which a multirun of the paper's experiments ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfm_isrefiner.files import write_whole
from vfm_isrefiner.report.assembly import differences, tables_of
from vfm_isrefiner.report.report_table import ReportTable
from vfm_isrefiner.report.runs import RUN_FILE, read_run
from vfm_isrefiner.report.writers import csv, latex, markdown


def write_table(folders: Sequence[Path], key: str, place: Path) -> None:
    """Print table `key` ("table5") of the finished runs in `folders`, and leave it in `place` as .md, .tex and .csv."""
    runs = [run for folder in folders if (folder / RUN_FILE).is_file() and (run := read_run(folder)).evaluations]
    if not runs:
        print(f"no table: none of {len(folders)} jobs has evaluated its network (test=true does).")
        return
    text = write_tables(tables_of(runs, only=[key]), place, key)
    print(f"\n{text}\nleft in {place}: {key}.md, {key}.tex, {key}.csv, results.csv and a folder for each run")


def write_tables(tables: Sequence[ReportTable], place: Path, name: str) -> str:
    """`name`.md, .tex and .csv, each with all tables and the differences in them; the text of the first."""
    all_of = [each for table in tables for each in (table, differences(table)) if each is not None]
    texts = {suffix: "\n".join(map(write, all_of)) for suffix, write in (("md", markdown), ("tex", latex), ("csv", csv))}
    for suffix, text in texts.items():
        write_whole(place / f"{name}.{suffix}", text.encode())
    return texts["md"]
