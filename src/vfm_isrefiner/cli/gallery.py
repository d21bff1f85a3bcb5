"""`isrefiner gallery`: objects of a finished run click by click: the worst, the best or any, by size or class."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """Pictures of the objects of finished runs (of isrefiner evaluate or train) click by click, played again: the
worst of each size or class to see where a network fails, or a random draw to see what it usually does. Green is matched, red
is missed or too much, the line is the true outline."""
EXAMPLES = """
examples:
  isrefiner gallery outputs/RUN                                    the worst four of each size, one PNG each
  isrefiner gallery outputs/RUN --by class --count 3
  isrefiner gallery outputs/RUN --pick random --by all --count 20 --clicks 1,2,3
"""


def run(args: argparse.Namespace) -> list[Path]:
    """Draw; the files.

    Raises:
        ValueError: a word is wrong, or a run's network or data is not at hand.
    """
    from vfm_isrefiner.cli.replay import replay_of
    from vfm_isrefiner.report.figures import click_panels
    from vfm_isrefiner.report.gallery import gallery
    from vfm_isrefiner.report.runs import find_runs

    written = []
    runs = find_runs(args.runs)
    for one in runs:
        replay = replay_of(one)
        for name, evaluation in one.evaluations.items():
            if args.set is not None and name != args.set:
                continue
            groups = gallery(evaluation.results, pick=args.pick, by=args.by, count=args.count, seed=args.seed)
            for group, results in groups.items():
                played = replay.histories(name, [(each.source, each.id) for each in results])
                words = "-".join([*([one.name] if len(runs) > 1 else []), name, args.pick, group])
                file = args.out / (re.sub(r"[^\w.]+", "-", words) + ".png")
                written.append(click_panels(played, file, threshold=evaluation.protocol.threshold, at=args.clicks))
                print(file)
    if not written:
        raise ValueError(f"There is nothing to show: no run has a set {args.set}.")
    return written


def _numbers(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError(f"numbers of clicks such as 1,2,3 were expected, got {text!r}")
    return [int(word) for word in words]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="isrefiner gallery", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("runs", nargs="+", metavar="FOLDER", help="finished runs, or folders that hold them")
    add("--out", type=Path, default=Path("gallery"), metavar="FOLDER", help="of the pictures (default: %(default)s)")
    add("--pick", default="worst", choices=("worst", "random", "best"), help="by mean IoU (default: %(default)s)")
    add("--by", default="size", choices=("size", "class", "all"), help="one picture for each (default: %(default)s)")
    add("--count", type=int, default=4, metavar="N", help="objects of each (default: %(default)s)")
    add("--clicks", type=_numbers, default=[1, 2, 3, 5, 10, 20], metavar="N,N", help="which to show (default: 1,2,3,5,10,20)")
    add("--set", metavar="NAME", help="of the evaluated sets (default: all)")
    add("--seed", type=int, default=0, help="of the random draw (default: %(default)s)")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    args = parser().parse_args(words)
    from vfm_isrefiner.cli.settings import quiet, short_errors

    with short_errors():
        quiet()
        run(args)


if __name__ == "__main__":
    main()
