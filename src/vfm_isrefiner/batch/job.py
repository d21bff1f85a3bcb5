"""`predict_scene`: one scene, its prompts and its output, from where an earlier run stopped."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import final

from vfm_isrefiner.batch.finished import FinishedLog
from vfm_isrefiner.batch.output import Outcome, check_category, check_suffix, write_outcome
from vfm_isrefiner.batch.pieces import Smallest
from vfm_isrefiner.batch.playing import play
from vfm_isrefiner.batch.windows import WindowRule
from vfm_isrefiner.files import sha256
from vfm_isrefiner.geo.ground import Grid, read_grid
from vfm_isrefiner.geo.prompt_layer import PromptLayer, read_prompts
from vfm_isrefiner.geo.stretch import Stretch
from vfm_isrefiner.geo.windows import RasterWindows
from vfm_isrefiner.predictor import Predictor

Progress = Callable[[int, int], None]
LOG_SUFFIX = ".unfinished"


@final
@dataclass(frozen=True)
class Model:
    """A predictor that is loaded when it is first needed.

    Attributes:
        load: makes it. name: says which one it is, the same whenever it is the same.
    """

    load: Callable[[], Predictor]
    name: str

    @cached_property
    def predictor(self) -> Predictor:
        return self.load()


@dataclass(frozen=True)
class Settings:
    """How scenes are read, prompted, played and written; the arguments of `RasterWindows`, `read_prompts`, `play` and
    `write_outcome`.

    Raises:
        ValueError: `simplify` is negative or not finite, or there is no worker.
    """

    bands: Sequence[int] | None = None
    stretch: Stretch = "auto"
    prompt_layer: str | None = None
    object_field: str | None = None
    label_field: str | None = None
    skip_outside: bool = False
    windows: WindowRule = field(default_factory=WindowRule)
    workers: int = 1
    smallest: Smallest = field(default_factory=Smallest)
    simplify: float = 0.0
    out_layer: str | None = None
    category_field: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.simplify < math.inf:
            raise ValueError(f"--simplify is a length of at least 0 metres, got {self.simplify}.")
        if self.workers < 1:
            raise ValueError(f"--workers is a number of at least 1, got {self.workers}.")


@dataclass(frozen=True)
class Report:
    """What came of a scene.

    Attributes:
        out: the file. objects: how many. resumed: of them, by an earlier run.
        empty: names of those for which nothing was found. small: of those whose pieces were all dropped as too small.
        cut: of those that reach over the largest window.
        outside, blank: prompts outside of the scene and without geometry, left out.
        notes: lines of the writer.
        existed: the file was there, and nothing was done.
    """

    out: Path
    objects: int = 0
    resumed: int = 0
    empty: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    outside: int = 0
    blank: int = 0
    notes: tuple[str, ...] = ()
    existed: bool = False


def predict_scene(
    model: Model,
    scene: Path,
    prompts: Path,
    out: Path,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = lambda done, of: None,
) -> Report:
    """Play the prompts on the scene and write `out`.

    Each finished object is put on the disk, in `out` + ".unfinished", before the next one, or in its turn where several are
    played at a time; another call goes on behind them. The file goes when `out` is complete.

    Args:
        overwrite: make an `out` that is there again; else nothing is done.
        progress: called with how many objects are done, and of how many.

    Raises:
        ValueError: the scene, the prompts, the suffix or a setting is not what it should be, or an earlier run used others.
        OSError: the disk refuses.
    """
    settings = settings or Settings()
    check_suffix(out)
    if out.exists() and not overwrite:
        return Report(out, existed=True)
    grid, layer = _asked(scene, prompts, settings)
    with FinishedLog.open(out.with_name(out.name + LOG_SUFFIX), _about(model, scene, prompts, settings)) as log:
        resumed = len(log.done)
        _play_rest(model, scene, layer, settings, log, progress)
        found = [log.done[one.name] for one in layer.objects]
        finished = [settings.smallest.without(one, grid) for one in found]
        outcome = Outcome(scene.name, grid, layer, finished, settings.simplify)
        notes = write_outcome(outcome, out, settings.out_layer, settings.category_field)
        log.remove()
    return Report(
        out,
        len(finished),
        resumed,
        tuple(one.name for one in found if not one.counts),
        tuple(one.name for one, left in zip(found, finished, strict=True) if one.counts and not left.counts),
        tuple(one.name for one in finished if one.cut),
        layer.outside,
        layer.empty,
        tuple(notes),
    )


def _asked(scene: Path, prompts: Path, settings: Settings) -> tuple[Grid, PromptLayer]:
    grid = read_grid(scene)
    layer = read_prompts(
        prompts,
        grid,
        layer=settings.prompt_layer,
        object_field=settings.object_field,
        label_field=settings.label_field,
        skip_outside=settings.skip_outside,
    )
    check_category(layer, settings.category_field)
    settings.smallest.check(grid)
    return grid, layer


def _play_rest(model: Model, scene: Path, layer: PromptLayer, settings: Settings, log: FinishedLog, progress: Progress) -> None:
    """The objects that are not in the log yet, into the log."""
    progress(len(log.done), len(layer.objects))
    todo = [one for one in layer.objects if one.name not in log.done]
    if not todo:  # only the writing had failed: neither the network nor the scene is opened
        return
    predictor = model.predictor
    with (
        RasterWindows(scene, settings.bands, settings.stretch) as windows,
        closing(play(predictor, windows, todo, settings.windows, settings.workers)) as played,  # ends its threads first
    ):
        for one in played:
            log.add(one)
            progress(len(log.done), len(layer.objects))


def _about(model: Model, scene: Path, prompts: Path, settings: Settings) -> dict[str, object]:
    """All that decides the masks. How they are written may change from one start to the next."""
    state = scene.stat()
    return {
        "scene": [scene.name, state.st_size, state.st_mtime_ns],
        "prompts": _digest(prompts),
        "checkpoint": model.name,
        "bands": None if settings.bands is None else list(settings.bands),
        "stretch": settings.stretch,
        "layer": settings.prompt_layer,
        "object column": settings.object_field,
        "label column": settings.label_field,
        "windows": [settings.windows.least, settings.windows.most],
        "outside left out": settings.skip_outside,
    }


def _digest(path: Path) -> str:
    """Of the content; of a Shapefile that of all of its parts."""
    parts = [path]
    if path.suffix.lower() == ".shp":
        parts += [path.with_suffix(ending) for ending in (".dbf", ".prj") if path.with_suffix(ending).is_file()]
    return hashlib.sha256("".join(sha256(part) for part in parts).encode()).hexdigest()[:16]
