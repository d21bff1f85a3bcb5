"""`isrefiner benchmark data`: the loader of training batches beside a plain reading loop of the same samples."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from rich.table import Table

from vfm_isrefiner.cli.meter import Meter, Used
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet, InstanceView
from vfm_isrefiner.data.labelled_folder import LabelledFolder
from vfm_isrefiner.data.pictures import RASTER_SUFFIXES
from vfm_isrefiner.data.sampling import TrainingSamples
from vfm_isrefiner.files import write_whole


@dataclass(frozen=True)
class Epoch:
    """One measured epoch.

    Attributes:
        workers: reading processes; 0 reads in the process that measures.
        epoch: 0 is the first one.
        samples_per_second: that came out of the loader.
        cores: CPU seconds a second, of all processes.
        cpu_ms: CPU milliseconds a sample, of all processes.
        memory_mb: the most that all processes held together, 10⁶ bytes.
        plain_per_second: samples of the plain loop, mean of the turns before and after.
        plain_cpu_ms: CPU milliseconds of one of them.
    """

    workers: int
    epoch: int
    samples_per_second: float
    cores: float
    cpu_ms: float
    memory_mb: float
    plain_per_second: float
    plain_cpu_ms: float

    @property
    def ratio(self) -> float:
        """Times as fast as the plain loop."""
        return self.samples_per_second / self.plain_per_second


def run(cfg: DictConfig) -> list[Epoch]:
    """Measure as `cfg` (conf/benchmark_data.yaml) says, print a table and write `cfg.json`.

    Raises:
        ValueError: a number is out of range.
    """
    for name in ("samples", "epochs", "plain_samples", "crop"):
        if cfg[name] < 1:
            raise ValueError(f"{name} must be 1 or more, got {cfg[name]}.")
    simple = samples_of(instantiate(cfg.data, num_workers=0, samples_per_epoch=cfg.samples, cache_bytes=0, resident=False))
    for each in simple.sets:
        each.cache.budget = 0
    found = [row for workers in cfg.workers for row in measured(cfg, workers, simple)]
    table = Table("workers", "epoch", "samples/s", "cores", "CPU ms", "MB", "plain/s", "CPU ms", "ratio", box=None)
    for row in found:
        rates = f"{row.samples_per_second:.0f}", f"{row.cores:.2f}", f"{row.cpu_ms:.2f}", f"{row.memory_mb:.0f}"
        plain = f"{row.plain_per_second:.0f}", f"{row.plain_cpu_ms:.2f}", f"{row.ratio:.1f}"
        table.add_row(str(row.workers), str(row.epoch + 1), *rates, *plain)
    Console().print(table)
    if cfg.json:
        rows = [{**asdict(row), "ratio": row.ratio} for row in found]
        write_whole(Path(cfg.json), f"{json.dumps(rows, indent=2)}\n".encode())
    return found


def samples_of(data: RemoteSensingInstances) -> TrainingSamples:
    """What its loader reads."""
    return data.train_dataloader().dataset  # type: ignore[return-value]  # a DataLoader says "some data set"


def measured(cfg: DictConfig, workers: int, simple: TrainingSamples) -> list[Epoch]:
    """All epochs with that many workers, on sets that were opened anew; the plain loop over `simple` has its turn between."""
    data: RemoteSensingInstances = instantiate(cfg.data, num_workers=workers, samples_per_epoch=cfg.samples)
    loader = data.train_dataloader()
    found, count = [], len(loader) * data.batch_size
    before = _plain_turn(simple, range(cfg.plain_samples), cfg.crop)
    for epoch in range(cfg.epochs):
        loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the data module's EpochSampler
        used = _timed(lambda: _drain(loader))
        first = (epoch + 1) * cfg.samples
        after = _plain_turn(simple, range(first, first + cfg.plain_samples), cfg.crop)
        plain, cpu = ((getattr(before, name) + getattr(after, name)) / (2 * cfg.plain_samples) for name in ("seconds", "cpu"))
        rate = count / used.seconds
        memory = used.memory / 1e6
        found.append(Epoch(workers, epoch, rate, used.cpu / used.seconds, 1e3 * used.cpu / count, memory, 1 / plain, 1e3 * cpu))
        before = after
        print(f"workers {workers}, epoch {epoch + 1}: {rate:.0f} samples/s", file=sys.stderr)
    return found


def _drain(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


def _plain_turn(samples: TrainingSamples, numbers: Iterable[int], crop: int) -> Used:
    return _timed(lambda: [plain(samples, number, crop) for number in numbers])


def _timed(work: Callable[[], Any]) -> Used:
    with Meter() as meter:
        begun = time.perf_counter()
        work()
        seconds = time.perf_counter() - begun
    return meter.used(seconds)


def plain(samples: TrainingSamples, number: int, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample `number` as a simple loop reads it: open image and mask, compare, crop around the object's middle.

    Returns:
        Image (h, w, 3) uint8 and mask (h, w) bool, `crop` a side at most. Sets whose files it does not know, or that are
        geodata, are read by their own reader; the cache of `samples` should be empty.
    """
    drawn = samples.draw(number)
    of = samples.sets[drawn.which]
    record = of.records[drawn.objects[0]]
    files = _files(of, record)
    if files is None:
        image, mask = of.read_image(record).permute(1, 2, 0).numpy(), of.read_mask(record)[0][0].numpy()
    else:
        with Image.open(files[0]) as file:
            image = np.asarray(file.convert("RGB"))
        with Image.open(files[1]) as file:
            mask = np.asarray(file) == record.instance
    x, y, width, height = record.bbox
    middle = y + height // 2, x + width // 2
    top, left = (min(max(at - crop // 2, 0), max(side - crop, 0)) for at, side in zip(middle, record.size, strict=True))
    part = slice(top, top + crop), slice(left, left + crop)
    return np.ascontiguousarray(image[part]), np.ascontiguousarray(mask[part])


def _files(of: InstanceSet, record: InstanceRecord) -> tuple[Path, Path] | None:
    """Image and mask of ids, where the set has such files and PIL reads them."""
    while isinstance(of, InstanceView):
        of = of.of
    if isinstance(of, LabelledFolder):
        pair = of.images[record.image], of.folder / "masks" / f"{record.image}.png"
    elif isinstance(of, FolderInstances) and of.kind == "ids":
        pair = of.images[record.image], of.masks[record.image]
    else:
        return None
    return None if any(path.suffix.lower() in RASTER_SUFFIXES for path in pair) else pair
