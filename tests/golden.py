"""Check reference vectors against this code: `python tests/golden.py DIR`.

Every `.npz` in DIR whose stem, after an optional `hidden_`, is of a known form gets a row: cases, worst error, tolerance,
verdict. The exit status is 0 only if every row passes and there is at least one; a known file that cannot be read is a miss.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import golden_functions
import golden_loop
import golden_models
from golden_check import Check, Row

CHECKS = (*golden_functions.CHECKS, *golden_models.CHECKS, *golden_loop.CHECKS)


def check_of(path: Path) -> Check | None:
    """The check of this file's form, or None where the form is not known."""
    stem = path.stem.removeprefix("hidden_")
    return next((check for check in CHECKS if re.fullmatch(check.pattern, stem)), None)


def run(path: Path) -> Row:
    """The row of one known file; whatever stops its check is a miss that says why."""
    check = check_of(path)
    if check is None:
        raise ValueError(f"{path.name} is of no known form.")
    try:
        return check.run(path)
    except Exception as error:  # a broken file must not hide the verdict on the others
        return Row(path.name, 0, float("inf"), "-", False, f"{type(error).__name__}: {error}".splitlines()[0])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check reference vectors against this code.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with the .npz files")
    folder: Path = parser.parse_args(arguments).folder
    if not folder.is_dir():
        print(f"{folder} is not a folder; give one with reference vectors (.npz).", file=sys.stderr)
        return 2
    files = sorted(folder.glob("*.npz"))
    known = [path for path in files if check_of(path)]
    if not known:
        print(f"{folder} holds no file of a known form (of {len(files)} .npz files).", file=sys.stderr)
        return 2
    print(f"{'file':<36}{'cases':>6}{'worst error':>13}  {'tolerance':<20}verdict")
    passed = 0
    for path in known:
        row = run(path)
        passed += row.passed
        verdict = "pass" if row.passed else "MISS"
        line = f"{row.file:<36}{row.cases:>6}{row.worst_error:>13.2g}  {row.tolerance!s:<20}{verdict:<6}{row.note}"
        print(line.rstrip(), flush=True)
    unknown = [path.name for path in files if path not in known]
    print(f"{passed} of {len(known)} files pass" + (f"; of no known form: {', '.join(unknown)}" if unknown else ""))
    return 0 if passed == len(known) else 1


if __name__ == "__main__":
    sys.exit(main())
