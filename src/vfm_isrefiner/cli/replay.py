"""Plays instances of a finished run again, from its folder: its network, its data, its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from vfm_isrefiner.cli.evaluate import network_of
from vfm_isrefiner.cli.jobs import CONFIG_FILE
from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import Evaluation, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.models.checkpoints import load_network
from vfm_isrefiner.report.runs import Run
from vfm_isrefiner.rollout import Network, Round

CONFIGS = (CONFIG_FILE, ".hydra/config.yaml")  # resolved by the run itself; as Hydra composed it


class CannotReplay(ValueError):
    """The run's network or data is not at hand; the message says which and why."""


@dataclass(frozen=True)
class Replay:
    """A run that can be played again.

    Attributes:
        round: its network and modulation. sets: what it was evaluated on, by name.
    """

    run: Run
    round: Round
    sets: Mapping[str, InstanceSet]

    def histories(self, name: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[Instance, list[Interaction]]]:
        """The instances `wanted` (source, id) of set `name`, and the interaction after each of their clicks.

        Raises:
            CannotReplay: the data at hand are not those that were evaluated.
        """
        evaluation, instances = self.run.evaluations[name], self.sets[name]
        places = {(result.source, result.id): result.index for result in evaluation.results}
        with chdir(started_in(self.run)):
            if instances.fingerprint() != evaluation.data:
                raise CannotReplay(f"{self.run.folder}: the data of set {name} have changed since it was evaluated.")
            found = [instances[places[key]] for key in wanted]
        return [(instance, trace(self.round, instance, evaluation.protocol)) for instance in found]


def replay_of(run: Run) -> Replay:
    """The network and the data that `run` was evaluated with.

    Raises:
        CannotReplay: they are not at hand, or a peer was evaluated.
    """
    file = next((run.folder / name for name in CONFIGS if (run.folder / name).is_file()), None)
    if file is None:
        raise CannotReplay(f"{run.folder}: {CONFIG_FILE} is missing, so its network and data are not known.")
    cfg = cast(DictConfig, OmegaConf.load(file))
    if cfg.get("peer") is not None:
        raise CannotReplay(f"{run.folder} is of a peer, which is not started for pictures.")
    try:
        trained = run.folder.resolve() / "network.safetensors"
        with chdir(started_in(run)):
            network = load_network(trained) if trained.is_file() else network_of(cfg)[0].eval()
            passes = cfg.get("first_click_passes") or (2 if network.config.get("released") else 1)
            return Replay(run, Round(cast(Network, network), instantiate(cfg.modulation), passes), _sets(cfg, run.evaluations))
    except CannotReplay:
        raise
    except Exception as error:  # whatever a reader or a loader says is a reason to go without pictures
        raise CannotReplay(f"{run.folder} cannot be played again: {_innermost(error)}") from error


def _sets(cfg: DictConfig, evaluations: Mapping[str, Evaluation]) -> dict[str, InstanceSet]:
    datamodule = instantiate(cfg.data)
    datamodule.prepare_data()
    split = cfg.get("split", "test")
    datamodule.setup("test" if split == "test" else "validate")
    limit = cfg.get("test_limit", cfg.get("limit"))
    sets: dict[str, InstanceSet] = datamodule.evaluation_sets(split)
    return {name: sets[name] if limit is None else sets[name].where(limit=limit) for name in evaluations}


def started_in(run: Run) -> Path:
    """The folder that the run's relative paths are from; the current one where it is not known or gone."""
    file = run.folder / ".hydra" / "hydra.yaml"
    folder = OmegaConf.select(OmegaConf.load(file), "hydra.runtime.cwd") if file.is_file() else None
    return Path(folder) if folder and Path(folder).is_dir() else Path.cwd()


def _innermost(error: BaseException) -> Any:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
