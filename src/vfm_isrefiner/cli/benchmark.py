"""`isrefiner benchmark WORD ...`: the speed of one part, beside the plain way of doing the same, in one run."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

WORDS = {"data": "samples per second of the training data, beside a plain reading loop"}

DESCRIPTION = f"""Measures the speed of one part, beside the plain way of doing the same, in the same run.

{chr(10).join(f"  {name:<8}{text}" for name, text in WORDS.items())}
"""
EXAMPLES = """examples:
  isrefiner benchmark data                                     the images of paths.shared
  isrefiner benchmark data data=isaid workers=[0,4,8]          any choice and any number of workers
  isrefiner benchmark data ++data.cache_bytes=0                without the shared cache
  isrefiner benchmark data ++data.resident=true workers=[0]    held and cut on the device
  isrefiner benchmark data json=speed.json samples=5000

settings of `data` (name=value)
  data=..., data.name=value   as in isrefiner train: batch_size, augmentation.crop_size, cache_bytes, resident, ...
  workers, samples, epochs    numbers of reading processes; samples of an epoch; epochs for each number
  plain_samples, crop         what the plain loop reads before and after every epoch, and cuts
  json=FILE                   the numbers of every epoch

A row is one epoch: samples per second, cores in use (CPU seconds a second, of all processes), CPU milliseconds a sample, memory
at its highest (pages that processes share are counted once) and the plain loop just before and after: one process that opens
the image and the mask of the same samples with PIL, compares ids and cuts. On a busy machine compare the CPU milliseconds.
Augmentation runs on the device and is not part of it.
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
    parser.add_argument("settings", nargs="*", metavar="name=value", help="settings, see below")
    given = parser.parse_args(sys.argv[1:])

    from vfm_isrefiner.cli.settings import composed, quiet, short_errors

    with short_errors():
        quiet()
        import_module(f"vfm_isrefiner.cli.benchmark_{given.word}").run(composed("benchmark", given.settings))


if __name__ == "__main__":
    main()
