"""`isrefiner train`: settings in, checkpoints, curves and a row of results out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig
from torch import nn

from vfm_isrefiner.cli.dashboards import Boards, built, safe_loggers, told
from vfm_isrefiner.cli.evaluate import chosen_sets
from vfm_isrefiner.cli.evaluate_sets import Contestant, evaluate_sets, set_folder
from vfm_isrefiner.cli.jobs import (
    begin,
    claimed,
    deciding_settings,
    fingerprint_of,
    finished_row,
    in_multirun,
    is_first_process,
    keep_config,
    run_label,
    write_row,
)
from vfm_isrefiner.cli.model import cost_of
from vfm_isrefiner.cli.resuming import checkpoint_to_resume, folder_to_go_on_in
from vfm_isrefiner.cli.settings import conf_folder, exit_if_a_job_failed, quiet, short_errors
from vfm_isrefiner.cli.sweep import asked_for, flat_scores
from vfm_isrefiner.cli.training_length import end_in_time, share_out_budget
from vfm_isrefiner.evaluation.ranks import ALONE, Ranks, launched, process_group
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.checkpoints import save_network
from vfm_isrefiner.models.freeze import weights_fingerprint
from vfm_isrefiner.report.figures import draw_clicks
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.full_shard import whole
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

    Raises:
        ValueError: settings that do not go together.
    """
    quiet()
    check_together(cfg)
    if in_multirun() and cfg.trainer.devices * cfg.trainer.get("num_nodes", 1) > 1:
        return run_by_itself(cfg)
    if not cfg.reuse:
        return train(cfg)
    folder, fingerprint = Path(cfg.paths.run), fingerprint_of(deciding_settings(cfg))
    with claimed(folder) as free:
        if not free:
            print(f"another process runs {folder}")
            return {}
        row = finished_row(folder, fingerprint)
        if row is not None:  # in every process: torchrun and srun have started them all
            if is_first_process():
                print(f"finished before: {folder}")
            return row
        if is_first_process():
            begin(folder, fingerprint)
        if cfg.fit and (folder / "checkpoints" / "last.ckpt").is_file():
            cfg.ckpt_path = "last"
        return train(cfg)


def check_together(cfg: DictConfig) -> None:
    """Raises ValueError where two settings contradict each other."""
    if cfg.ckpt_path is not None and not cfg.fit:
        raise ValueError(
            "fit=false takes the network as it begins, so ckpt_path has no use; to evaluate a checkpoint: "
            "isrefiner evaluate checkpoint=FILE."
        )
    if cfg.ckpt_path is not None and cfg.reuse:
        raise ValueError("reuse=true finds its own checkpoint in the run's folder; leave ckpt_path away.")
    if in_multirun() and launched().world > 1:
        raise ValueError(
            "a multirun under torchrun or srun would share each job's processes out among jobs; start it alone, with "
            "trainer.devices=N, or give one job to each start."
        )


def run_by_itself(cfg: DictConfig) -> dict[str, float]:
    """This job of a multirun in a process of its own, whose distributed processes then know of no other job."""
    folder = Path(cfg.paths.run)
    words = [*HydraConfig.get().overrides.task, "hydra.mode=RUN", f"hydra.run.dir={folder}"]
    status = subprocess.run([sys.executable, "-m", __spec__.name, *words], check=False).returncode
    if status > 1:  # stopped: so are the jobs behind it
        sys.exit(status)
    row = finished_row(folder, fingerprint_of(deciding_settings(cfg)))
    if status or row is None:
        raise TrainingError(f"the job in {folder} ended with status {status}.")
    return row


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
        module.to(trainer.strategy.root_device)  # Lightning takes it off when a training ends
        network = whole(module.network)
        row |= load_best(network, trainer)
        row |= finished(cfg, module, network, datamodule, trainer, settings, called, row, boards)
    return row


def load_best(network: nn.Module, trainer: Trainer) -> dict[str, float]:
    """Take the best weights that this training (or what it went on with) has kept; their score, {} where it keeps none."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor is not None and Path(callback.best_model_path).is_file():
            load_trained_part(network, read_checkpoint(callback.best_model_path))
            score = callback.best_model_score
            return {} if score is None else {callback.monitor: float(score)}
    return {}


def finished(
    cfg: DictConfig,
    module: InteractiveSegmentation,
    network: nn.Module,
    datamodule: LightningDataModule,
    trainer: Trainer,
    settings: dict[str, Any],
    called: dict[str, Any],
    row: dict[str, float],
    boards: Boards,
) -> dict[str, float]:
    """The end of a training: its weights saved and evaluated by all processes, and its row written; the evaluation's scores."""
    folder, first = Path(cfg.paths.run), trainer.is_global_zero
    if first:
        save_network(network, folder / "network.safetensors")
    summaries = {}
    if cfg.test:
        ranks = Ranks(trainer.global_rank, trainer.world_size, trainer.local_rank)
        round = replace(module.round, network=cast(Network, network))
        with process_group(ranks):
            summaries = held_out_scores(cfg, round, datamodule, folder / "test", boards.draw, ranks)
    scores = flat_scores(summaries, "test/")
    if first:
        write_row(
            folder,
            row | scores,
            settings=settings,
            fingerprint=fingerprint_of(settings),
            cost=cost_of(cast(AnyNetwork, network), cfg.model.image_size),
            evaluations={name: (Path("test") / set_folder(name, summaries)).as_posix() for name in summaries},
            **called,
        )
        boards.log_run(folder)
        print(f"left in {folder}: network.safetensors, checkpoints/, log/" + (", test/" if cfg.test else ""))
    return scores


def held_out_scores(
    cfg: DictConfig, round: Round, datamodule: Any, folder: Path, draw: Draw = draw_clicks, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """The scores of the network of `round` as it is now on the held-out sets, the instances shared out over `ranks`."""
    rule, title, network = named(cfg.protocol, cfg.input_size), cfg.name or run_label(cfg), cast(nn.Module, round.network)
    device = next(network.parameters()).device
    contestant = Contestant(round, f"{title} {weights_fingerprint(network)[:16]}", device)
    sets = chosen_sets(datamodule.evaluation_sets("test"), cfg.test_sets)
    with in_eval_mode(network):
        return evaluate_sets(
            contestant,
            sets,
            rule,
            folder,
            limit=cfg.test_limit,
            panels=cfg.test_panels,
            go_on=bool(cfg.reuse or cfg.ckpt_path),
            ranks=ranks,
            draw=draw,
        )


def parts(cfg: DictConfig) -> tuple[InteractiveSegmentation, LightningDataModule, Trainer]:
    """Build everything that `cfg` names."""
    seed_everything(cfg.seed, workers=True, verbose=False)
    share_out_budget(cfg)
    end_in_time(cfg)
    if cfg.mode in ("pretrained", "lora", "adapter") and cfg.pretrained is None:
        print(f"mode={cfg.mode} without pretrained=FILE: what it does not train is random.")
    if cfg.pretrained is not None and cfg.pretrained not in (cfg.model.get("checkpoint"), cfg.model.get("backbone_checkpoint")):
        print(
            f"pretrained={cfg.pretrained} is not used: the network begins with it under mode=…, method=… and the experiments "
            "that say so; otherwise give model.backbone_checkpoint=FILE or model.checkpoint=FILE."
        )
    network = instantiate(cfg.model)  # first after seeding: a checkpoint draws a random backbone again from the seed
    datamodule: LightningDataModule = instantiate(cfg.data)
    module = InteractiveSegmentation(
        network=network,
        modulation=instantiate(cfg.modulation),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        distillation=instantiate(cfg.distillation),
        first_click_passes=cfg.first_click_passes,
        network_seed=cfg.seed,
        compile=cfg.compile,
    )
    callbacks: list[Callback] = built(cfg.callbacks)
    loggers = safe_loggers(cfg.logger)
    trainer: Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    return module, datamodule, trainer


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
def _job(cfg: DictConfig) -> float | None:
    with short_errors(go_on=in_multirun()):
        row = run(cfg)
        return row.get("val/noc80")
    return None


def main() -> None:
    """Read the command line and run each job."""
    torch.set_float32_matmul_precision("high")
    _job()
    exit_if_a_job_failed()


if __name__ == "__main__":
    main()
