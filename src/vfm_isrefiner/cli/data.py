"""`isrefiner data`: commands about data sets; `isrefiner data check` reads sets completely and tells what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vfm_isrefiner.data.check_report import Report
    from vfm_isrefiner.data.instance_set import InstanceSet
    from vfm_isrefiner.data.selection import Source
    from vfm_isrefiner.report.sheet import Sample

HELP = """isrefiner data: about data sets.

usage: isrefiner data COMMAND [name=value ...]

  check     read sets completely and tell what is in them and every problem

isrefiner data COMMAND --help tells more.
"""
CHECK_HELP = """isrefiner data check: read a set completely; counts, sizes, histograms, and every problem with its file.

usage: isrefiner data check set=NAME root=FOLDER [split=NAME] [name=value ...]
       isrefiner data check data=NAME [name=value ...]

  set=NAME       one of: {sets}
  data=NAME      all sets of a training configuration, one of: {data}

Settings
  root=FOLDER    where the set was unpacked            split=train   as the set names its splits
  out=FOLDER     of the report (default: dated, below paths.outputs)
  limit=N        at most N images of each set          samples=8     images of each set on the sheet
  workers=N      processes that read; 0: none          seed=0        of limit and samples
  set.reader.NAME=VALUE and data.… change any setting of a reader

Leaves report.md, report.json (every problem) and sheet.png (samples with their masks).

Errors     {errors}
Warnings   {warnings}

Exit status: 0 no error (there may be warnings), 1 an error, 2 wrong usage.

Examples
  isrefiner data check set=loveda root=/data/LoveDA split=val
  isrefiner data check set=folder root=/data/ponds set.reader.kind=components
  isrefiner data check data=real limit=100
"""
SPLITS = ("train", "val", "test")


def run(cfg: DictConfig, title: str = "set") -> list[Report]:
    """Check as `cfg` says and leave report.md, report.json and sheet.png.

    Args:
        title: name of the set where `cfg.set` is one.

    Raises:
        ValueError: neither a set nor a data configuration is chosen, or both, or a number is out of range.
    """
    from vfm_isrefiner.data.check_report import markdown, problem_lines
    from vfm_isrefiner.files import write_whole
    from vfm_isrefiner.report.sheet import draw_sheet

    sources = sources_of(cfg, title)
    out = Path(cfg.out or Path(cfg.paths.outputs) / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}-data-check")
    reports, samples = [], []
    for name, source in sources.items():
        report, shown = _checked(name, source, cfg)
        reports.append(report)
        samples += shown
        counts = f"{report.images:,} images, {report.instances:,} instances, "
        print(f"{name}: {counts}{len(report.errors)} errors, {len(report.warnings)} warnings")
        for line in problem_lines(report.problems):
            print(f"  {line}")
    write_whole(out / "report.md", markdown(reports).encode())
    write_whole(out / "report.json", (json.dumps([each.as_dict() for each in reports], indent=1) + "\n").encode())
    if samples:
        draw_sheet(samples, out / "sheet.png")
    print(f"left in {out}: report.md, report.json" + (", sheet.png" if samples else ""))
    return reports


def sources_of(cfg: DictConfig, title: str = "set") -> dict[str, Source]:
    """What is to be opened, by the name that the report gives it."""
    from functools import partial

    if (cfg.get("set") is None) == (cfg.get("data") is None):
        raise ValueError(
            f"Give either set=NAME (with root=FOLDER) or data=NAME; sets: {', '.join(names_in('set'))}; "
            f"data: {', '.join(names_in('data'))}."
        )
    if cfg.get("set") is not None:
        if cfg.root is None and "${root}" in str(_raw(cfg.set.reader)):
            raise ValueError("root=FOLDER is needed: the folder where this set was unpacked.")
        return {title: partial(_instance, cfg.set.reader)}
    found: dict[str, Source] = {}
    for split in SPLITS:
        for name, node in (cfg.data.get(split) or {}).items():
            found[f"{split}/{name}"] = partial(_instance, node)
    return found


def _instance(node: DictConfig) -> InstanceSet:
    """What `node` describes, opened at once. What a reader raises comes out of Hydra's wrapping, for it lists every fault."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _partial_=False)
    except InstantiationException as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        raise cause from None


def names_in(group: str) -> list[str]:
    """The choices of a group of conf/."""
    from vfm_isrefiner.cli.settings import conf_folder

    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


def _raw(node: DictConfig) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=False)


def _checked(name: str, source: Source, cfg: DictConfig) -> tuple[Report, list[Sample]]:
    """The report of one set and its images for the sheet."""
    from vfm_isrefiner.cli.bar import progress_bar
    from vfm_isrefiner.data.check import by_image, check, drawn_images, open_or_report
    from vfm_isrefiner.report.sheet import read_sample

    with progress_bar(name) as progress:
        of, report = open_or_report(name, source)
        if of is None:
            return report, []
        report = check(of, name, cfg.limit, cfg.seed, cfg.workers, progress)
    chosen = drawn_images(by_image(of), cfg.samples, cfg.seed)
    read = [read_sample(of, records, f"{name}  {records[0].image}") for records in chosen]
    return report, [sample for sample in read if sample is not None]


def check_help() -> str:
    """What `isrefiner data check --help` shows."""
    from vfm_isrefiner.data.check_report import ERRORS, WARNINGS

    lists = {"sets": ", ".join(names_in("set")), "data": ", ".join(names_in("data"))}
    kinds: Mapping[str, str] = {"errors": _listed(ERRORS), "warnings": _listed(WARNINGS)}
    return CHECK_HELP.format(**lists, **kinds)


def _listed(kinds: Mapping[str, str]) -> str:
    return f"\n{' ' * 11}".join(f"{kind:<20}{meaning}" for kind, meaning in kinds.items())


def check_main(words: list[str]) -> None:
    """`isrefiner data check`."""
    if any(word in ("-h", "--help") for word in words):
        print(check_help(), end="")
        return

    from vfm_isrefiner.cli.settings import composed, quiet, short_errors

    with short_errors():
        quiet()
        title = [word.removeprefix("set=") for word in words if word.startswith("set=")]
        reports = run(composed("data_check", words), *title[-1:])
    sys.exit(1 if any(report.errors for report in reports) else 0)


COMMANDS = {"check": check_main}


def main() -> None:
    """Find the command and hand over."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        sys.exit(0 if words else 2)
    if words[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"isrefiner data: unknown command {words[0]!r}, expected {known}; see isrefiner data --help", file=sys.stderr)
        sys.exit(2)
    COMMANDS[words[0]](words[1:])


if __name__ == "__main__":
    main()
