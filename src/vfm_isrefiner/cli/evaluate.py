"""`isrefiner evaluate`: a network from any checkpoint, a NoC table, a curve and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import hydra
import torch
from hydra.utils import instantiate
from lightning.pytorch import seed_everything
from omegaconf import DictConfig
from torch import nn

from vfm_isrefiner.cli.jobs import (
    checkpoint_label,
    claimed,
    deciding_settings,
    fingerprint_of,
    finished_row,
    keep_config,
    write_row,
)
from vfm_isrefiner.cli.model import cost_of
from vfm_isrefiner.cli.settings import conf_folder, quiet, short_errors
from vfm_isrefiner.cli.sweep import asked_for, flat_scores
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate
from vfm_isrefiner.files import write_whole
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.checkpoints import load_any
from vfm_isrefiner.models.freeze import weights_fingerprint
from vfm_isrefiner.report import figures, tables
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.panels import draw_panels
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
    with claimed(folder) as free:
        if free and finished_row(folder, fingerprint_of(deciding_settings(cfg))) is None:
            return play(cfg)
        print(f"{'finished before' if free else 'another process evaluates'}: {folder}")
        return {}


def play(cfg: DictConfig) -> dict[str, Any]:
    """As `run`, whatever is there already."""
    settings = deciding_settings(cfg)
    seed_everything(cfg.seed, workers=True, verbose=False)
    rule = named(cfg.protocol, cfg.input_size)  # an unknown name is told before anything is loaded
    network, title = network_of(cfg)
    device = chosen_device(cfg.device)
    passes = cfg.first_click_passes or (2 if network.config.get("released") else 1)
    round = Round(cast(Network, network.to(device).eval()), instantiate(cfg.modulation), first_click_passes=passes)
    keep_config(cfg, Path(cfg.paths.run))
    datamodule = instantiate(cfg.data)
    datamodule.prepare_data()
    datamodule.setup("test" if cfg.split == "test" else "validate")
    summaries = evaluate_sets(
        round,
        chosen_sets(datamodule.evaluation_sets(cfg.split), cfg.sets),
        rule,
        Path(cfg.paths.run),
        limit=cfg.limit,
        title=cfg.name or title,
        batch_size=cfg.batch_size,
        panels=cfg.panels,
    )
    write_row(
        Path(cfg.paths.run),
        flat_scores(summaries),
        settings={name: value for name, value in settings.items() if not name.startswith("model.")}
        | {f"model.{name}": value for name, value in network.config.items()},
        fingerprint=fingerprint_of(settings),
        cost=cost_of(network, network.config.get("image_size", cfg.model.image_size)),
        evaluations={name: name if len(summaries) > 1 else "." for name in summaries},
        **asked_for(cfg.name or title),
    )
    return summaries


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


def chosen_device(wanted: str) -> torch.device:
    """`auto` is the first GPU where there is one.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={wanted}: torch sees no GPU here; take device=cpu or device=auto.")
    return device


def evaluate_sets(
    round: Round,
    sets: Mapping[str, InstanceSet],
    rule: EvaluationProtocol,
    folder: Path,
    *,
    limit: int | None = None,
    title: str = "",
    batch_size: int = 8,
    panels: int = 4,
) -> dict[str, Any]:
    """Play `rule` on each set; per-instance results, summary, table, curve and panels go to `folder`.

    Each set has its own folder below `folder` where there is more than one.

    Returns:
        The summary of each set by the set's name.

    Raises:
        ValueError: `limit` is not at least 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit} leaves no instance; give 1 or more, or null for all.")
    network = cast(nn.Module, round.network)
    device, model = next(network.parameters()).device, f"{title} {weights_fingerprint(network)[:16]}".strip()
    summaries = {}
    for name, instances in sets.items():
        chosen = instances if limit is None else instances.where(limit=limit)
        place = folder / name if len(sets) > 1 else folder
        result = evaluate(
            round, chosen, rule, batch_size=batch_size, device=device, progress=True, model=model, data=chosen.fingerprint()
        )
        result.save(place)
        summaries[name] = result.summary()
        draw_panels(round, chosen, rule, place / "panels", panels, figures.draw_clicks)
    table = tables.markdown_table(summaries)
    write_whole(folder / "table.md", f"{table}\n".encode())
    figures.miou_curves(summaries, folder / "curve.png")
    each = " and a folder for each set with" if len(sets) > 1 else ","
    print(f"{table}\n\nleft in {folder}: table.md, curve.png{each} summary.json, instances.parquet, panels/")
    return summaries


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="evaluate")
def _job(cfg: DictConfig) -> None:
    with short_errors():
        run(cfg)


def main() -> None:
    """Read the command line and run each job."""
    _job()


if __name__ == "__main__":
    main()
