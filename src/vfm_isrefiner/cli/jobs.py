"""What decides a run's result, the folder named after it, and whether it is done, begun or another process's."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from vfm_isrefiner.cli.training_length import REPLACED
from vfm_isrefiner.files import sha256, write_whole
from vfm_isrefiner.models.known_files import located
from vfm_isrefiner.models.network_file import CheckpointError
from vfm_isrefiner.report.runs import RUN_FILE

# keys of train.yaml and evaluate.yaml that change what comes out; the others (paths, loggers, pictures) do not
PLAIN = ("mode", "size", "seed", "budget", "fit", "protocol", "input_size", "first_click_passes", "split", "sets", "limit")
PLAIN_TOO = ("flip", "test", "test_limit", "test_sets", "checkpoint")
GROUPS = ("model", "modulation", "optimizer", "scheduler", "distillation", "data")
CALLBACKS = ("simulate_clicks", "evaluate_noc", "best")  # clicks, and which epoch's weights are kept
TRAINER = (
    *("max_epochs", "min_epochs", "max_steps", "max_time", "limit_train_batches", "overfit_batches", "devices", "num_nodes"),
    *("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches", "precision"),
)
NO_MATTER = ("num_workers", "cache_bytes", "resident", "dirpath", "filename", "folder")
NO_MATTER_TOO = ("peer.python", "peer.device", "peer.timeout", "peer.start_timeout", "callbacks.evaluate_noc.batch_size")
OF_TRAINING = (
    "optimizer.",
    "scheduler.",
    "distillation.",
    "trainer.",
    "callbacks.",
    "data.train",
    "data.samples_per_epoch",
    "data.batch_size",
    "budget",
    "minutes",
)
FILES = (
    *("checkpoint", "model.checkpoint", "model.backbone_checkpoint", "peer.checkpoint"),
    *("distillation.checkpoint", "distillation.backbone_checkpoint"),
)
LOCK, CONFIG_FILE, BEGUN_FILE = ".lock", "config.yaml", ".fingerprint"
# what Tables V-VIII vary, and what the paper's network has
AXES = {
    "vit": ("model.use_vit", True),
    "hq": ("model.use_hq", True),
    "theta": ("model.theta", "learnable"),
    "fusion": ("model.early_fusion", "gated"),
    "modulation": ("modulation", "isrefiner"),
}


def deciding_settings(cfg: DictConfig) -> dict[str, Any]:
    """What of `cfg` decides the result, by dotted name; files by their content, so that they may move.

    "model.kind" and "modulation" are short names of the chosen network and modulation; a peer has neither.
    """
    found: dict[str, Any] = {name: _plain(cfg[name]) for name in (*PLAIN, *PLAIN_TOO) if name in cfg}
    if cfg.get("precision", "float32") != "float32":  # of an evaluation; absent otherwise, as in runs before there was a choice
        found["precision"] = cfg.precision
    peer = cfg.get("peer") is not None
    for group in ("data", "peer") if peer else GROUPS:
        if cfg.get(group) is not None:
            found |= _flat(_plain(cfg[group]), f"{group}.")
    if cfg.get("trainer") is not None:
        found |= {f"trainer.{name}": _plain(cfg.trainer.get(name)) for name in TRAINER}
        for name in CALLBACKS:
            part = (cfg.get("callbacks") or {}).get(name) or {}
            # one by one: where files go is not known yet when the run's folder is named
            found |= _flat({key: _plain(part[key]) for key in part if key not in NO_MATTER}, f"callbacks.{name}.")
    if cfg.get("minutes") is not None:  # absent otherwise, likewise
        found = {name: value for name, value in found.items() if not name.startswith(REPLACED)} | {"minutes": cfg.minutes}
    if found.get("fit") is False:
        found = {name: value for name, value in found.items() if not name.startswith(OF_TRAINING)}
    found = {name: value for name, value in found.items() if not _no_matter(name)}
    if not peer:
        found["model.kind"] = found.pop("model._target_", "").rpartition(".build_")[2]
        found["modulation"] = found.pop("modulation._target_", "").rpartition(".modulate_")[2]
    for name in FILES:
        if isinstance(found.get(name), str):
            found[name] = _content(Path(found[name]))
    return found


def fingerprint_of(settings: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that two runs share where all that decides their results is the same."""
    same = {name: float(value) if type(value) is int else value for name, value in sorted(settings.items())}  # 1 is 1.0
    return hashlib.sha256(json.dumps(same, default=str).encode()).hexdigest()[:16]


def run_label(cfg: DictConfig) -> str:
    """The run in a few words: mode, method or checkpoint, and where it is not the paper's network: "adapter, theta=0.5"."""
    settings = deciding_settings(cfg)
    if settings.get("checkpoint"):
        return checkpoint_label(Path(str(cfg.checkpoint)))
    if cfg.get("peer") is not None:
        return Path(str(cfg.peer.get("checkpoint") or "peer")).stem
    kind, mode = settings["model.kind"], settings.get("mode")
    taught = ["distilled"] if "distillation.weight" in settings else []
    if kind == "isrefiner":
        words = [f"{name}={settings[key]}" for name, (key, usual) in AXES.items() if settings[key] != usual]
        return ", ".join([mode or kind, *words, *taught])
    return ", ".join([kind, *([mode] if mode else []), *taught])


def checkpoint_label(file: Path) -> str:
    """A file's name; of a file that every run has, the name of the run's folder."""
    if file.stem not in ("network", "last", "best"):
        return file.stem
    folder = file.resolve().parent
    return (folder.parent if folder.name == "checkpoints" else folder).name


def run_folder(cfg: DictConfig) -> str:
    """A readable folder name that settings alone decide: `<size>/<label>-seed<seed>-<fingerprint>`."""
    settings = deciding_settings(cfg)
    place = settings.get("size") or settings.get("model.size") or "given"
    label = re.sub(r"[^\w.]+", "-", run_label(cfg))  # nothing that Hydra would read as more than a path
    return f"{place}/{label}-seed{settings['seed']}-{fingerprint_of(settings)}"


OmegaConf.register_new_resolver("run_folder", lambda *, _root_: run_folder(_root_), replace=True)  # of conf/launch/tables.yaml


def finished_row(folder: Path, fingerprint: str) -> dict[str, float] | None:
    """The scores of the finished run in `folder`, or None where there is none of this fingerprint."""
    file = folder / RUN_FILE
    if not file.is_file():
        return None
    row = json.loads(file.read_text())
    return dict(row["scores"]) if row.get("fingerprint") == fingerprint else None


def in_multirun() -> bool:
    """Whether this run is one of several of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this process alone works in `folder`, until the context ends; the system lets go of it when a process dies.

    Processes of one distributed run but the first ask nobody.
    """
    if not is_first_process():
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def is_first_process() -> bool:
    """Whether this is no process that a launcher or Lightning started beside the first of a distributed run."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    # a batch script hands its own SLURM_PROCID=0 down to what Lightning starts
    return all(os.environ.get(name, "0") == "0" for name in ("SLURM_PROCID", "LOCAL_RANK"))


def begin(folder: Path, fingerprint: str) -> None:
    """Write down whose folder this is.

    Raises:
        ValueError: it is that of a run with other settings.
    """
    file = folder / BEGUN_FILE
    if file.is_file() and file.read_text() != fingerprint:
        raise ValueError(f"{folder} holds a run of other settings, and reuse=true goes on with it: give another paths.run.")
    write_whole(file, fingerprint.encode())


def keep_config(cfg: DictConfig, folder: Path) -> None:
    """`config.yaml`: all settings as they are used, with nothing left to look up elsewhere."""
    write_whole(folder / CONFIG_FILE, OmegaConf.to_yaml(cfg, resolve=True).encode())


def write_row(
    folder: Path,
    scores: Mapping[str, float],
    *,
    name: str,
    overrides: list[str] | None = None,
    experiment: str | None = None,
    settings: Mapping[str, Any] | None = None,
    fingerprint: str = "",
    cost: Mapping[str, float] | None = None,
    evaluations: Mapping[str, str] | None = None,
) -> None:
    """`run.json`, the last file that a run writes: what it was, what decided it, where its evaluations are, what came out.

    `fingerprint` is that of the settings as they were asked for; `settings` may say more, such as what a checkpoint turned out
    to hold.
    """
    content = {
        "name": name,
        "overrides": overrides or [],
        "experiment": experiment,
        "fingerprint": fingerprint,
        "settings": dict(settings or {}),
        "cost": dict(cost or {}),
        "evaluations": dict(evaluations or {}),
        "scores": dict(scores),
    }
    write_whole(folder / RUN_FILE, f"{json.dumps(content, indent=2, default=str)}\n".encode())


def _no_matter(name: str) -> bool:
    return name in NO_MATTER_TOO or name.rpartition(".")[2] in NO_MATTER


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _flat(values: Any, prefix: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix.rstrip("."): values}
    return {name: value for key, part in values.items() for name, value in _flat(part, f"{prefix}{key}.").items()}


def _content(file: Path) -> str:
    try:
        file = located(file)
    except CheckpointError:  # told by whoever loads it
        return str(file)
    state = file.stat()
    return _digest(file, state.st_mtime_ns, state.st_size)


@cache
def _digest(file: Path, changed: int, size: int) -> str:
    """Once for each state of a file: settings are asked for several times a run, and weights may be large."""
    return f"sha256:{sha256(file)[:16]}"
