"""`isrefiner benchmark WORD ...`: the speed of one part, beside the plain way of doing the same, in one run."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

WORDS = {
    "click": "one click: beside a plain forward of the same ViT, and how it grows",
    "same": "whether the fast ways give the same clicks, maps and scores as the plain one",
    "eval": "an evaluation: beside the network's own time at its best batch size",
    "train": "training: samples per second and memory, beside a plain loop",
    "all": "everything but data, in one call for a machine that is at hand for minutes",
    "data": "samples per second of the training data, beside a plain reading loop",
}

DESCRIPTION = f"""Measures the speed of one part, beside the plain way of doing the same, in the same run.

{chr(10).join(f"  {name:<8}{text}" for name, text in WORDS.items())}
"""
EXAMPLES = """examples:
  isrefiner benchmark click                                    the paper's network on this machine
  isrefiner benchmark click device=cuda precision=bf16 compile=true
  isrefiner benchmark data data=isaid workers=[0,4,8]          any choice and any number of workers
  isrefiner benchmark eval --json speed.json                   all numbers, with hardware and versions

`isrefiner benchmark WORD --settings` shows the settings of a word (name=value); docs/performance.md says what they measure.
"""


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="isrefiner benchmark",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("word", choices=WORDS, help="what to measure")
    parser.add_argument("settings", nargs="*", metavar="name=value", help="settings")
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    parser.add_argument("--settings", action="store_true", dest="show", help="show the settings and stop")
    given = parser.parse_intermixed_args(sys.argv[1:])

    from vfm_isrefiner.cli.settings import composed, conf_folder, quiet, short_errors

    if given.show:
        print((conf_folder() / f"benchmark_{given.word}.yaml").read_text(), end="")
        return
    with short_errors():
        quiet()
        settings = given.settings if given.json is None else [*given.settings, f"json='{given.json}'"]
        import_module(f"vfm_isrefiner.cli.benchmark_{given.word}").run(composed(f"benchmark_{given.word}", settings))


if __name__ == "__main__":
    main()
