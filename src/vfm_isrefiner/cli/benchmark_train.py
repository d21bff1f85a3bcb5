"""`isrefiner benchmark train`: a training run, its step beside a plain loop, its memory, and how it grows."""

from __future__ import annotations

import sys
import time
from typing import Any, final

import torch
from hydra.utils import instantiate
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf
from torch import nn

from vfm_isrefiner.benchmark.machine import machine
from vfm_isrefiner.benchmark.measure import Measure, Report, Target
from vfm_isrefiner.benchmark.timing import ratio
from vfm_isrefiner.benchmark.train_memory import measured_memory, projected_memory
from vfm_isrefiner.benchmark.train_speed import (
    CARELESS,
    FAST,
    PLAIN,
    PRECISIONS,
    Setup,
    Step,
    compared,
    growth,
    steps_of,
    synthetic_batch,
)
from vfm_isrefiner.cli.benchmark_report import check_least, told
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.training.simulate_clicks import SimulateClicks

SKIPPED = 3  # batches of a training run that do not count
STATIONS = {"data": "reading and augmenting", "rounds": "simulated rounds", "step": "forward, backward, optimiser"}
SETTINGS = ("device", "precision", "compile", "side", "repeats", "warm_up", "batches", "memory_batch")


def run(cfg: DictConfig) -> Report:
    """Measure as `cfg` (conf/benchmark_train.yaml) says, print a table and write `cfg.json`.

    Raises:
        ValueError: a setting is out of range.
    """
    _check(cfg)
    torch.set_float32_matmul_precision("high")  # as `isrefiner train` does
    seed_everything(cfg.seed, verbose=False)
    device = chosen_device(cfg.device)
    network: nn.Module = instantiate(cfg.model).to(device)
    setup = Setup(network, instantiate(cfg.modulation), SimulateClicks(seed=cfg.seed), cfg.precision == "bf16", cfg.compile)
    measures = []
    if cfg.memory_batch:
        _tell("memory")
        measures.append(memory(cfg, setup))
    if cfg.batches:
        _tell("a training run")
        measures += training(cfg, setup)
    _tell("its step, beside the plain loop")
    batch = synthetic_batch(cfg.data.batch_size, cfg.side, device)
    steps: dict[str, Step] = steps_of(setup) if cfg.plain else {FAST: setup.fast()}
    taken, over_rounds = compared(steps, batch, setup.clicks, repeats=cfg.repeats, warm_up=cfg.warm_up)
    measures += comparison(cfg, taken)
    del steps
    _tell("growth")
    curves = {"rounds": over_rounds[FAST]}
    curves |= growth(setup, cfg.growth_batches, cfg.growth_sides, batch=cfg.data.batch_size, side=cfg.side, repeats=cfg.repeats)
    settings = {name: cfg[name] for name in SETTINGS} | {"batch": cfg.data.batch_size, "resident": cfg.data.resident}
    settings["model"] = OmegaConf.to_container(cfg.model, resolve=True)
    report = Report("train", machine(device), settings, measures, {name: curve for name, curve in curves.items() if curve})
    return told(report, cfg.json)


def _check(cfg: DictConfig) -> None:
    least = {"side": 32, "repeats": 1, "warm_up": 0, "batches": 0, "memory_batch": 0}
    for name, value in least.items():
        check_least(cfg, (name,), value)
    if cfg.precision not in PRECISIONS:
        raise ValueError(f"precision={cfg.precision!r} is unknown; take one of {', '.join(PRECISIONS)}.")


def _on_gpu(cfg: DictConfig) -> bool:
    return chosen_device(cfg.device).type == "cuda"


def _tell(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr)


def named(cfg: DictConfig) -> str:
    """What is trained."""
    kind = f"{cfg.model.size}, {cfg.side} px, batch {cfg.data.batch_size}, {cfg.precision}"
    return f"{kind}, compiled" if cfg.compile else kind


def memory(cfg: DictConfig, setup: Setup) -> Measure:
    """Peak of a step of `cfg.memory_batch` images: on a GPU measured, else worked out."""
    target = Target(12.0) if cfg.model.size == "paper" and cfg.side == 448 and cfg.memory_batch == 16 else None
    what, device = f"memory of a step, batch {cfg.memory_batch}", chosen_device(cfg.device)
    if device.type == "cuda":
        step, batch = setup.fast(), synthetic_batch(cfg.memory_batch, cfg.side, device)
        held = measured_memory(lambda: step(batch, setup.clicks.max_rounds, 0), device)
        spare = sum(each.numel() * each.element_size() for each in setup.network.parameters())  # the copy trained elsewhere
        return Measure(what, (held - spare) / 1e9, "GB", target=target, note="the most that torch held at a time")
    found = projected_memory(setup.network, cfg.side, cfg.memory_batch)
    note = f"worked out for a GPU in float32, as the backward pass begins, without kernels' own buffers: {found.shares()}"
    return Measure(what, found.total / 1e9, "GB", target=target, note=note)


def training(cfg: DictConfig, setup: Setup) -> list[Measure]:
    """A real run with nothing but clicks: samples a second over `cfg.batches` batches, then shares over as many."""
    samples = cfg.data.batch_size * (SKIPPED + 2 * cfg.batches)
    data = instantiate(cfg.data, samples_per_epoch=samples)
    watch, device = Stopwatch(SKIPPED, cfg.batches), chosen_device(cfg.device)
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False
    )
    trainer = Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if cfg.precision == "bf16" else "32-true",
        max_epochs=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[watch, setup.clicks, Between(watch)],
        **quiet,
    )
    trainer.fit(setup.module(), datamodule=data)
    rate, what = cfg.data.batch_size * cfg.batches / watch.seconds, f"training ({named(cfg)})"
    where = "data on the device" if cfg.data.resident else f"{cfg.data.num_workers} workers"
    note = f"a Lightning run, {where}; mean of {cfg.batches} batches"
    found = [Measure(what, rate, "samples/s", target=_rate_target(cfg, "tiny", 2000), note=note)]
    whole = sum(watch.spent.values())
    return found + [Measure(f"share: {text}", 100 * watch.spent[name] / whole, "%") for name, text in STATIONS.items()]


def comparison(cfg: DictConfig, taken: dict[str, Any]) -> list[Measure]:
    """Rows of the step and of its ratios."""
    rate, batch = taken[FAST], cfg.data.batch_size
    low, high = rate.quartiles
    what, target = f"step alone ({named(cfg)})", _rate_target(cfg, "paper", 150)
    note = "numbers of rounds weighted as they come in training"
    found = [Measure(what, batch / rate.median, "samples/s", (batch / high, batch / low), target, note)]
    if PLAIN in taken:
        times = Target(3, at_most=False) if target is not None else None
        plain = "plain loop in float32 (TF32 on a GPU) that encodes the images in each round; same batch, same clicks"
        found.append(Measure.of("plain loop ÷ step", ratio(taken[PLAIN], rate), "×", times, note=plain))
        careless = "the same, which also differentiates the frozen part"
        found.append(Measure.of("careless loop ÷ step", ratio(taken[CARELESS], rate), "×", note=careless))
    return found


def _rate_target(cfg: DictConfig, size: str, least: float) -> Target | None:
    as_asked = {"paper": cfg.data.batch_size == 32 and cfg.side == 448, "tiny": bool(cfg.data.resident)}[size]
    return Target(least, at_most=False) if _on_gpu(cfg) and cfg.model.size == size and as_asked else None


@final
class Stopwatch(Callback):
    """Begins and ends of the batches of a training; first in the list of callbacks, `Between` right behind SimulateClicks.

    Args:
        skipped: batches that do not count. batches: then measured as a whole, with nothing to wait for in between; as many more
            station by station, the device waited for after each.

    Attributes:
        seconds: of the whole. spent: seconds of each of STATIONS.
    """

    def __init__(self, skipped: int, batches: int) -> None:
        self.skipped, self.batches = skipped, batches
        self.seconds, self.spent = 0.0, dict.fromkeys(STATIONS, 0.0)
        self._last = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.pass_by("data", trainer, batch_idx)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.pass_by("step", trainer, batch_idx)
        if batch_idx == self.skipped - 1:
            self._last = self._now(trainer)
        elif batch_idx == self.skipped + self.batches - 1:
            now = self._now(trainer)
            self.seconds, self._last = now - self._last, now

    def pass_by(self, station: str, trainer: Trainer, batch_idx: int) -> None:
        """What `station` took is over."""
        if batch_idx >= self.skipped + self.batches:
            now = self._now(trainer)
            self.spent[station] += now - self._last
            self._last = now

    def _now(self, trainer: Trainer) -> float:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize(trainer.strategy.root_device)
        return time.perf_counter()


@final
class Between(Callback):
    """The simulated rounds are over."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.watch.pass_by("rounds", trainer, batch_idx)
