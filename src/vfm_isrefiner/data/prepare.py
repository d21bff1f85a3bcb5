"""`prepare`: a set's scenes as patches and one index, once, so that training and evaluation never open a large image."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from vfm_isrefiner.data.cut_scene import Cutting
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.index import join_parts, read_facts, read_index
from vfm_isrefiner.data.parallel import cores
from vfm_isrefiner.data.prepared_folder import FORMAT, INDEX, PARTS, claim, file_stem, locked, sweep, write_about
from vfm_isrefiner.data.processes import in_processes
from vfm_isrefiner.data.scenes import Scene
from vfm_isrefiner.data.tiling import windows

OnError = Literal["raise", "skip"]
# What decides the bytes of patches and index besides the settings.
LIBRARIES = ("vfm-isrefiner", "opencv-python-headless", "pycocotools", "pyarrow")


@dataclass(frozen=True)
class Report:
    """What a prepared folder holds, and what this run did.

    Attributes:
        scenes: in the folder, those without any object counted too.
        patches: written.
        dropped: windows without an object, which are not written.
        instances: rows of the index; an object in several patches has several.
        at_border: those of them that a border of their patch cuts.
        bytes: of all patches.
        classes: rows by category, most frequent first.
        skipped: what is wrong with the scenes that were left out (`on_error="skip"`), by name.
        resumed: scenes that were done before this run.
        seconds: of this run.
    """

    scenes: int
    patches: int
    dropped: int
    instances: int
    at_border: int
    bytes: int
    classes: dict[str, int]
    skipped: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    seconds: float = 0.0


def prepare(
    scenes: Sequence[Scene],
    out: str | Path,
    source: str,
    *,
    patch_size: int = 800,
    overlap: int = 200,
    min_area: int = 1,
    limit: int | None = None,
    workers: int | None = None,
    on_error: OnError = "raise",
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Cut `scenes` into patches below `out`; `PreparedPatches` opens the result.

    Can be killed at any moment and started again: it goes on with the scenes that are not done, and ends with the same bytes. A
    folder that is complete is left as it is. Images no longer than a patch stay whole. An object that crosses a border is kept
    with its part in every patch that shows it.

    Args:
        scenes: of one set, each name once.
        out: a new or empty folder, or one that an earlier run has begun with the same settings.
        source: name of the set, stored for results.
        patch_size: side of a patch in pixels.
        overlap: pixels that neighbouring patches share. The default is that of iSAID's own tool at 800: objects of up to 200
            pixels are whole in one patch. 0 shows every pixel once, but for the last row and column, which are moved inside.
        min_area: smaller parts (pixels) are left out and become background.
        limit: at most that many scenes, the first ones.
        workers: processes, None one a core; 1 works in this one.
        on_error: "raise" ends at the first scene that cannot be read, and keeps those that are done; "skip" leaves it out,
            and says so in the report; it is tried again by the next run.
        settings: whatever else decides the patches (JSON), such as how the set was opened; compared when a run is resumed.
        progress: called with the scenes done and their number.

    Raises:
        DataError: an argument is out of range, there is no scene or no object, a scene cannot be read, another run works there,
            or the folder was prepared with other settings.
        OSError: a file cannot be written.
    """
    began, out = time.monotonic(), Path(out)
    chosen = list(scenes if limit is None else scenes[:limit])
    check_options(patch_size, overlap, min_area, limit, workers, on_error)
    _check_scenes(chosen)
    cut = {"patch_size": patch_size, "overlap": overlap, "min_area": min_area, "limit": limit}
    about = _about(source, {**(settings or {}), **cut}, chosen)
    with locked(out) as lock:
        about = claim(out, about)
        if about["complete"] and not about["skipped"] and (out / INDEX).is_file():
            progress(len(chosen), len(chosen))
            return Report(**about["counts"], resumed=len(chosen), seconds=time.monotonic() - began)
        fingerprint = _digest([FORMAT, source, about["settings"]])
        done = sweep(out, {file_stem(scene.name): fingerprint for scene in chosen})
        waiting = [scene for scene in chosen if file_stem(scene.name) not in done]
        cutting, skipped = Cutting(out, fingerprint, patch_size, overlap, min_area), {}
        progress(len(done), len(chosen))
        for number, (scene, fault) in enumerate(_each(cutting, waiting, cores() if workers is None else workers, lock), 1):
            if fault is not None and on_error == "raise":
                raise DataError(f"{fault} What is done stays: run again to go on, or with on_error=skip to leave it out.")
            if fault is not None:
                skipped[scene.name] = fault
            progress(len(done) + number, len(chosen))
        counts = _join(out, [scene for scene in chosen if scene.name not in skipped])
        skipped = dict(sorted(skipped.items()))  # processes end in any order
        write_about(out, {**about, "complete": True, "counts": counts, "skipped": skipped})
    return Report(**counts, skipped=skipped, resumed=len(done), seconds=time.monotonic() - began)


def check_options(patch_size: int, overlap: int, min_area: int, limit: int | None, workers: int | None, on_error: str) -> None:
    """Raise `DataError` where one of these is out of range, before a set is opened for minutes."""
    windows((1, 1), patch_size, overlap)  # says what is wrong with these two
    for name, value in (("min_area", min_area), ("limit", limit), ("workers", workers)):
        if value is not None and value < 1:
            raise DataError(f"{name}={value} was given; 1 or more was expected.")
    if on_error not in get_args(OnError):
        raise DataError(f"Unknown on_error={on_error!r}. Choose one of {', '.join(get_args(OnError))}.")


def _check_scenes(chosen: Sequence[Scene]) -> None:
    if not chosen:
        raise DataError("The set has no image to prepare. Check its root and its split.")
    twice, times = Counter(scene.name for scene in chosen).most_common(1)[0]
    if times > 1:
        raise DataError(f"The set has {times} images of the name {twice!r}. Rename one of them.")


def _about(source: str, settings: Mapping[str, Any], chosen: Sequence[Scene]) -> dict[str, Any]:
    """The content of `prepare.json` before anything is done."""
    digest = _digest([[scene.name, *scene.size, scene.split, scene.gsd] for scene in chosen])
    return {
        "format": FORMAT,
        "complete": False,
        "source": source,
        "settings": {**settings, "scenes": f"{len(chosen)} with digest {digest}"},
        "versions": {name: version(name) for name in LIBRARIES},
        "counts": {},
        "skipped": {},
    }


def _each(cutting: Cutting, scenes: Sequence[Scene], workers: int, lock: int) -> Iterator[tuple[Scene, str | None]]:
    """Every scene as it is done, with what is wrong with it."""
    if min(workers, len(scenes)) <= 1:
        yield from ((scene, cutting(scene)) for scene in scenes)
        return
    modules = sorted({type(scene).__module__ for scene in scenes})
    with closing(in_processes(cutting, scenes, min(workers, len(scenes)), lock, [Cutting.__module__, *modules])) as done:
        yield from ((scenes[position], fault) for position, fault in done)


def _join(out: Path, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Writes the index of `scenes`; gives what it and the patches amount to."""
    parts = [out / PARTS / f"{file_stem(scene.name)}.parquet" for scene in scenes]
    join_parts(parts, out / INDEX)
    index = read_index(out / INDEX, ["category", "at_border"])
    if not len(index):
        (out / INDEX).unlink()
        raise DataError(f"No image of the set shows an object (there are {len(parts)}). Check its masks, and min_area.")
    facts = [read_facts(path) or {} for path in parts]
    counted = Counter(index["category"].to_pylist())
    return {
        "scenes": len(parts),
        "patches": sum(len(each["patches"]) for each in facts),
        "dropped": sum(each["dropped"] for each in facts),
        "instances": len(index),
        "at_border": sum(index["at_border"].to_pylist()),
        "bytes": sum(each["bytes"] for each in facts),
        "classes": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
