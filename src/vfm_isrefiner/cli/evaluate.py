"""`isrefiner evaluate`: a network from any checkpoint, a NoC table, a curve and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.utils import instantiate
from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf, open_dict

from vfm_isrefiner.cli.dashboards import safe_loggers, told
from vfm_isrefiner.cli.evaluate_sets import Contestant, evaluate_sets, set_folder
from vfm_isrefiner.cli.jobs import (
    begin,
    checkpoint_label,
    claimed,
    deciding_settings,
    fingerprint_of,
    finished_row,
    in_multirun,
    is_first_process,
    keep_config,
    write_row,
)
from vfm_isrefiner.cli.model import cost_of
from vfm_isrefiner.cli.settings import conf_folder, exit_if_a_job_failed, quiet, short_errors
from vfm_isrefiner.cli.sweep import asked_for, flat_scores
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.evaluation import EvaluationProtocol
from vfm_isrefiner.evaluation.ranks import Ranks, launched, process_group
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.checkpoints import load_any
from vfm_isrefiner.models.freeze import weights_fingerprint
from vfm_isrefiner.models.inference import for_inference, usual_modulation, usual_passes
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.panels import Draw
from vfm_isrefiner.training.restore import restored_network


def run(cfg: DictConfig) -> dict[str, Any]:
    """Evaluate as `cfg` says; everything is left in `cfg.paths.run`. `cfg.reuse` is as in training.

    Returns:
        The summary of each set; empty where it was finished before, or another process works on it.
    """
    quiet()
    if not cfg.reuse:
        return play(cfg)
    folder = Path(cfg.paths.run)
    fingerprint = fingerprint_of(deciding_settings(cfg))
    with claimed(folder) as free:
        if free and finished_row(folder, fingerprint) is None:
            if is_first_process():
                begin(folder, fingerprint)
            return play(cfg)
        print(f"{'finished before' if free else 'another process evaluates'}: {folder}")
        return {}


def play(cfg: DictConfig) -> dict[str, Any]:
    """As `run`, whatever is there already."""
    settings = deciding_settings(cfg)
    fingerprint = fingerprint_of(settings)
    seed_everything(cfg.seed, workers=True, verbose=False)
    rule, ranks = named(cfg.protocol, cfg.input_size), launched()  # an unknown name is told before anything is loaded
    if cfg.flip is not None:
        rule = replace(rule, flip=cfg.flip)
    with instantiate(cfg.peer) if cfg.get("peer") is not None else nullcontext() as peer:
        if peer is not None:
            rule, network, cost = peer.protocol(rule), None, {}
            title = cfg.name or peer.name
            contestant = Contestant(peer, f"{title} {peer.fingerprint[:16]}")
        else:
            network, title = network_of(cfg)
            name_modulation(cfg, network)
            title = cfg.name or title
            contestant = contestant_of(cfg, network, title, ranks)
            cost = cost_of(network, network.config.get("image_size", cfg.model.image_size))
            settings = known_settings(settings, network)
        called, loggers = asked_for(title), safe_loggers(cfg.get("logger")) if ranks.first else []
        with told(loggers, cfg, called=called, job_type="evaluate", settings=settings, threshold=rule.threshold) as boards:
            summaries = played(cfg, contestant, rule, ranks, boards.draw)
            if ranks.first:
                write_row(
                    Path(cfg.paths.run),
                    flat_scores(summaries),
                    settings=settings,
                    fingerprint=fingerprint,
                    cost=cost,
                    evaluations={name: set_folder(name, summaries) for name in summaries},
                    **called,
                )
                boards.log_run(Path(cfg.paths.run))
    return summaries


def played(cfg: DictConfig, contestant: Contestant, rule: EvaluationProtocol, ranks: Ranks, draw: Draw) -> dict[str, Any]:
    """The sets that `cfg` names, played by all ranks together."""
    if ranks.first:
        keep_config(cfg, Path(cfg.paths.run))
    datamodule = instantiate(cfg.data)
    datamodule.prepare_data()
    datamodule.setup("test" if cfg.split == "test" else "validate")
    with process_group(ranks):
        return evaluate_sets(
            contestant,
            chosen_sets(datamodule.evaluation_sets(cfg.split), cfg.sets),
            rule,
            Path(cfg.paths.run),
            limit=cfg.limit,
            batch_size=1 if cfg.get("peer") is not None else cfg.batch_size,
            panels=cfg.panels,
            ranks=ranks,
            draw=draw,
        )


def contestant_of(cfg: DictConfig, network: AnyNetwork, title: str, ranks: Ranks) -> Contestant:
    """The network on the device that `cfg` wants, with its modulation."""
    device = ranks.device(chosen_device(cfg.device))
    passes = cfg.first_click_passes or usual_passes(network.config)
    label = f"{title} {weights_fingerprint(network)[:16]}"  # of the weights as they were read
    if cfg.precision != "float32":
        label = f"{label} {cfg.precision}"
    player = for_inference(network.to(device), precision=cfg.precision, compiled=cfg.compile)
    return Contestant(Round(cast(Network, player), instantiate(cfg.modulation), first_click_passes=passes), label, device)


def name_modulation(cfg: DictConfig, network: AnyNetwork) -> None:
    """Where `cfg` names no modulation, put in the one that goes with `network`: what is kept of the run then says it."""
    if cfg.get("modulation") is None:
        file = conf_folder() / "modulation" / f"{usual_modulation(network.config)}.yaml"
        with open_dict(cfg):
            cfg.modulation = OmegaConf.load(file)


def known_settings(settings: dict[str, Any], network: AnyNetwork) -> dict[str, Any]:
    """`settings` with what the network says of itself, as a checkpoint may be of any."""
    others = {name: value for name, value in settings.items() if not name.startswith("model.")}
    others["modulation"] = settings["modulation"] or usual_modulation(network.config)
    return others | {f"model.{name}": value for name, value in network.config.items()}


def network_of(cfg: DictConfig) -> tuple[AnyNetwork, str]:
    """The network that `cfg.checkpoint` holds, or the untrained one of `cfg.model`; and a name for the table."""
    if cfg.checkpoint is None:
        print("checkpoint=null: an untrained network, as model=... says; give checkpoint=FILE for a trained one.")
        return instantiate(cfg.model), "untrained"
    path = Path(cfg.checkpoint)
    backbone = cfg.model.get("backbone_checkpoint")
    if path.suffix == ".ckpt":
        base = cfg.model.get("checkpoint")
        return restored_network(path, backbone_checkpoint=backbone, base_checkpoint=base), checkpoint_label(path)
    return load_any(path, backbone_checkpoint=backbone, released=bool(cfg.model.get("released", False))), checkpoint_label(path)


def chosen_sets(sets: Mapping[str, InstanceSet], wanted: Sequence[str] | str | None) -> dict[str, InstanceSet]:
    """The sets of these names, in this order; None is all.

    Raises:
        ValueError: there is no set of a name.
    """
    names = list(sets) if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in names if name not in sets]
    if unknown or not names:
        raise ValueError(f"sets={wanted}: there is no set {', '.join(unknown) or 'named'}; choose among {', '.join(sets)}.")
    return {name: sets[name] for name in names}


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="evaluate")
def _job(cfg: DictConfig) -> None:
    with short_errors(go_on=in_multirun()):
        if in_multirun() and launched().world > 1:
            raise ValueError(
                "several evaluations under torchrun or srun would get mixed up: start one at a time, without commas."
            )
        run(cfg)


def main() -> None:
    """Read the command line and run each job."""
    _job()
    exit_if_a_job_failed()


if __name__ == "__main__":
    main()
