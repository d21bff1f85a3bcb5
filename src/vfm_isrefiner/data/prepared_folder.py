"""The folder that `prepare` fills: who may write into it, what it was asked to hold, and what in it is complete.

prepare.json                 settings, versions, counts; names the folder as ours from the first moment
index.parquet                all objects of all patches
patches/<scene>_<row>_<column>.png
parts/<scene>.parquet        index of one scene, written when its patches are: the scene is done
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.index import read_facts
from vfm_isrefiner.files import write_whole

FORMAT = 1
LOCK, ABOUT, INDEX, PATCHES, PARTS = ".lock", "prepare.json", "index.parquet", "patches", "parts"
# Workers of a run that was killed end within moments, and hold its lock until then.
PATIENCE = 5.0

# What a file name cannot hold on one system or another, a "." that hides a file or climbs, and "/" that leads nowhere.
UNSAFE = re.compile(r'[%\\:*?"<>|\x00-\x1f]|(?:^|(?<=/))\.|^/|/(?=/)|/$')


def file_stem(name: str) -> str:
    """`name` as a path below a folder: kept where it is safe, other characters as %XX. No two names give one path."""
    return UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


@contextmanager
def locked(out: Path) -> Iterator[int]:
    """Makes `out` and keeps other runs from it; gives the lock's descriptor. The system lifts it when its holders end.

    Raises:
        DataError: another run works there, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; a folder to prepare into was expected. Give another out=.")
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, out)
        yield descriptor
    finally:
        os.close(descriptor)


def claim(out: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What `prepare.json` of `out` says; written as `about`, unfinished, where the folder is empty.

    Raises:
        DataError: the folder holds something else, or was prepared with other settings.
    """
    found = read_about(out)
    if found is None:
        strangers = sorted(path.name for path in out.iterdir() if path.name != LOCK and not _is_temporary(path))
        if strangers:
            raise DataError(
                f"{out} is neither empty nor a prepared set (it holds {strangers[0]!r} and has no readable {ABOUT}). "
                "Give an empty or a new folder as out=."
            )
        write_about(out, about)
        return dict(about)
    told, asked = (_flat({**each["settings"], "source": each["source"], "format": each["format"]}) for each in (found, about))
    given = [(name, told.get(name, "not given"), asked.get(name, "not given")) for name in {**told, **asked}]
    differences = "; ".join(f"{name} was {before}, now {now}" for name, before, now in given if before != now)
    if differences:
        raise DataError(
            f"{out} was prepared with other settings: {differences}. Give another out=, or the same settings; or remove the "
            "folder to prepare it anew."
        )
    return found


def read_about(out: Path) -> dict[str, Any] | None:
    """The content of `prepare.json`, None where there is none of ours that can be read."""
    try:
        found = json.loads((out / ABOUT).read_bytes())
    except (OSError, ValueError):
        return None
    ours = isinstance(found, dict) and {"format", "complete", "source", "settings", "counts", "skipped"} <= set(found)
    return found if ours else None


def write_about(out: Path, about: Mapping[str, Any]) -> None:
    """Raises `OSError`."""
    write_whole(out / ABOUT, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def sweep(out: Path, parts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Remove what a killed run left behind: temporary files, patches of unfinished scenes, parts that do not count.

    Args:
        parts: stems of the scenes of the set, and the fingerprint that each one's part must bear.

    Returns:
        The facts of the scenes that are done, by stem.
    """
    there = {path.relative_to(out / PATCHES).as_posix() for path in _files(out / PATCHES)}
    done: dict[str, dict[str, Any]] = {}
    for path in _files(out / PARTS):
        stem = path.relative_to(out / PARTS).as_posix().removesuffix(".parquet")
        facts = read_facts(path)
        if facts and facts["fingerprint"] == parts.get(stem) and there.issuperset(facts["patches"]):
            done[stem] = facts
        else:
            path.unlink()
    for name in there.difference(*(facts["patches"] for facts in done.values())):
        (out / PATCHES / name).unlink()
    for path in out.iterdir():
        if _is_temporary(path):
            path.unlink()
    return done


def _take(descriptor: int, out: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise DataError(
                    f"Another run is preparing into {out}. Wait until it is done, or give another folder as out=."
                ) from error
            time.sleep(0.05)


def _is_temporary(path: Path) -> bool:
    """Whether `write_whole` was killed while it wrote this."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as name.name and their JSON."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, sort_keys=True)
    return flat
