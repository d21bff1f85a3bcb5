"""`isrefiner train`: settings in, checkpoints, curves and a row of results out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from omegaconf import DictConfig

from vfm_isrefiner.cli.dashboards import Boards, built, safe_loggers, told
from vfm_isrefiner.cli.evaluate import chosen_sets
from vfm_isrefiner.cli.evaluate_sets import Contestant, evaluate_sets
from vfm_isrefiner.cli.jobs import (
    claimed,
    deciding_settings,
    fingerprint_of,
    finished_row,
    is_first_process,
    keep_config,
    run_label,
    write_row,
)
from vfm_isrefiner.cli.model import cost_of
from vfm_isrefiner.cli.settings import conf_folder, quiet, short_errors
from vfm_isrefiner.cli.sweep import asked_for, flat_scores
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.checkpoints import save_network
from vfm_isrefiner.models.freeze import weights_fingerprint
from vfm_isrefiner.report.figures import draw_clicks
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.panels import Draw
from vfm_isrefiner.training.restore import load_trained_part, read_checkpoint
from vfm_isrefiner.training.simulate_clicks import in_eval_mode


def run(cfg: DictConfig) -> dict[str, float]:
    """Train as `cfg` says and evaluate the best weights; everything is left in `cfg.paths.run`.

    With `cfg.reuse` a run that is finished there is not run again, one that was begun goes on, and one that another process
    works on is left to it.

    Returns:
        The row of this run: the last values of the training and the scores of the evaluation; empty where it was left.
    """
    quiet()
    if not cfg.reuse:
        return train(cfg)
    folder = Path(cfg.paths.run)
    with claimed(folder) as free:
        if not free:
            print(f"another process runs {folder}")
            return {}
        row = finished_row(folder, fingerprint_of(deciding_settings(cfg)))
        if row is not None and is_first_process():
            print(f"finished before: {folder}")
            return row
        if cfg.ckpt_path is None and cfg.fit and (folder / "checkpoints" / "last.ckpt").is_file():
            cfg.ckpt_path = "last"
        return train(cfg)


def train(cfg: DictConfig) -> dict[str, float]:
    """As `run`, whatever is there already."""
    settings, called = deciding_settings(cfg), asked_for(cfg.name or (run_label(cfg) if cfg.reuse else None))
    resume = checkpoint_to_resume(cfg.ckpt_path, Path(cfg.paths.run), Path(cfg.paths.outputs), several=in_multirun())
    if resume is not None:
        read_checkpoint(resume)  # what is no checkpoint is told before anything is built
        cfg.paths.run = str(folder_to_go_on_in(Path(resume), Path(cfg.paths.run)))
    module, datamodule, trainer = parts(cfg)
    folder, threshold = Path(cfg.paths.run), named(cfg.protocol, cfg.input_size).threshold
    with told(trainer.loggers, cfg, called=called, job_type="train", settings=settings, threshold=threshold) as boards:
        if trainer.is_global_zero:
            keep_config(cfg, folder)
        print(f"{'training' if cfg.fit else 'not training'} in {folder}" + (f", resumed from {resume}" if resume else ""))
        if cfg.fit:
            trainer.fit(module, datamodule=datamodule, ckpt_path=resume)
        else:
            datamodule.prepare_data()
            datamodule.setup("test")
        row = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.is_global_zero:
            row |= finished(cfg, module, datamodule, settings, called, row, boards)
    return row


def finished(
    cfg: DictConfig,
    module: InteractiveSegmentation,
    datamodule: LightningDataModule,
    settings: dict[str, Any],
    called: dict[str, Any],
    row: dict[str, float],
    boards: Boards,
) -> dict[str, float]:
    """The end of a training: its best weights saved and evaluated, and its row written; the scores of the evaluation."""
    folder = Path(cfg.paths.run)
    best = folder / "checkpoints" / "best.ckpt"
    if best.is_file():
        load_trained_part(module.network, read_checkpoint(best))
    save_network(module.network, folder / "network.safetensors")
    summaries = held_out_scores(cfg, module, datamodule, folder / "test", boards.draw) if cfg.test else {}
    scores = flat_scores(summaries, "test/")
    write_row(
        folder,
        row | scores,
        settings=settings,
        fingerprint=fingerprint_of(settings),
        cost=cost_of(cast(AnyNetwork, module.network), cfg.model.image_size),
        evaluations={name: f"test/{name}" if len(summaries) > 1 else "test" for name in summaries},
        **called,
    )
    boards.log_run(folder)
    print(f"left in {folder}: network.safetensors, checkpoints/, log/" + (", test/" if cfg.test else ""))
    return scores


def held_out_scores(
    cfg: DictConfig, module: InteractiveSegmentation, datamodule: Any, folder: Path, draw: Draw = draw_clicks
) -> dict[str, Any]:
    """The scores of the network as it is now on the held-out sets."""
    rule, title = named(cfg.protocol, cfg.input_size), cfg.name or run_label(cfg)
    contestant = Contestant(module.round, f"{title} {weights_fingerprint(module.network)[:16]}", module.device)
    sets = chosen_sets(datamodule.evaluation_sets("test"), cfg.test_sets)
    with in_eval_mode(module.network):
        return evaluate_sets(
            contestant,
            sets,
            rule,
            folder,
            limit=cfg.test_limit,
            panels=cfg.test_panels,
            go_on=bool(cfg.reuse or cfg.ckpt_path),
            draw=draw,
        )


def parts(cfg: DictConfig) -> tuple[InteractiveSegmentation, LightningDataModule, Trainer]:
    """Build everything that `cfg` names."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    share_out_budget(cfg)
    if cfg.mode in ("pretrained", "lora", "adapter") and cfg.pretrained is None:
        print(f"mode={cfg.mode} without pretrained=FILE: what it does not train is random.")
    network = instantiate(cfg.model)  # first after seeding: a checkpoint draws a random backbone again from the seed
    datamodule: LightningDataModule = instantiate(cfg.data)
    module = InteractiveSegmentation(
        network=network,
        modulation=instantiate(cfg.modulation),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        first_click_passes=cfg.first_click_passes,
        network_seed=cfg.seed,
    )
    callbacks: list[Callback] = built(cfg.callbacks)
    loggers = safe_loggers(cfg.logger)
    trainer: Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    return module, datamodule, trainer


def share_out_budget(cfg: DictConfig) -> None:
    """`budget` samples in all, alike in each epoch.

    Raises:
        ValueError: it is not at least one sample an epoch.
    """
    if cfg.budget is None:
        return
    if cfg.budget < cfg.trainer.max_epochs:
        raise ValueError(f"budget={cfg.budget} is less than one sample in each of trainer.max_epochs={cfg.trainer.max_epochs}.")
    cfg.data.samples_per_epoch = round(cfg.budget / cfg.trainer.max_epochs)


def in_multirun() -> bool:
    """Whether this run is one of several of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def folder_to_go_on_in(checkpoint: Path, folder: Path) -> Path:
    """The folder of the run that `checkpoint` is of, where its best weights and its curves are; `folder` where it is of none or
    where the command line names a folder, in which the best weights begin anew."""
    asked = [*HydraConfig.get().overrides.task, *HydraConfig.get().overrides.hydra] if HydraConfig.initialized() else []
    named = any(word.startswith(("paths.run=", "hydra.run.dir=")) for word in asked)
    own = checkpoint.resolve().parent.parent
    if checkpoint.resolve().parent.name != "checkpoints" or own == folder.resolve():
        return folder
    if named:
        print(f"resumed into another folder: the best weights of {own} are not known here")
        return folder
    return own


def checkpoint_to_resume(wanted: str | None, folder: Path, outputs: Path, several: bool = False) -> str | None:
    """The file that `ckpt_path` means: "last" is the newest one of this run's folder, else of all outputs; of `several` runs
    each has its own folder's only.

    Raises:
        TrainingError: there is none.
    """
    if wanted is None:
        return None
    if wanted == "last":
        found = [folder / "checkpoints" / "last.ckpt"]
        if not found[0].is_file():
            found = [] if several else sorted(outputs.glob("**/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise TrainingError(
                f"ckpt_path=last: there is no checkpoints/last.ckpt in {folder} nor anywhere below {outputs}"
                + ("; runs of a sweep look in their own folders only." if several else ".")
            )
        return str(found[-1])
    if not Path(wanted).is_file():
        raise TrainingError(f"ckpt_path={wanted}: there is no such file; give a .ckpt of a run or the word last.")
    return wanted


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
def _job(cfg: DictConfig) -> float | None:
    with short_errors():
        row = run(cfg)
        return row.get("val/noc80")
    return None


def main() -> None:
    """Read the command line and run each job."""
    torch.set_float32_matmul_precision("high")
    _job()


if __name__ == "__main__":
    main()
