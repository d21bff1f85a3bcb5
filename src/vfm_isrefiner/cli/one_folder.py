"""`OneFolder`: the processes of one run that torchrun or srun started write into one folder, not each into its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, final

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from torch.distributed import TCPStore

from vfm_isrefiner.evaluation.ranks import Ranks, launched

WAIT = timedelta(minutes=5)  # for the slowest process to start


@final
class OneFolder(Callback):
    """Hydra's callback at the start: each process dates a folder of its own, so they agree on one before it is made.

    torchrun: the folder of whichever asks first, over the store that torchrun keeps. srun: `paths.outputs`/slurm-JOB-STEP,
    which is the same after the job was requeued, too. A folder that the command line names is left alone, and so is a single
    process. Other launchers: name the folder, `hydra.run.dir=...`.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a single run."""
        agree(config, "run", launched())

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before the jobs of a sweep."""
        agree(config, "sweep", launched())


def agree(config: DictConfig, kind: str, ranks: Ranks) -> None:
    """Put the common folder into `hydra.run.dir` or `hydra.sweep.dir`."""
    named = any(word.startswith(f"hydra.{kind}.dir=") for word in config.hydra.overrides.hydra)
    if ranks.world == 1 or named:
        return
    folder = common(str(OmegaConf.select(config, f"hydra.{kind}.dir")), Path(config.paths.outputs), os.environ)
    with read_write(config), open_dict(config):
        config.hydra[kind].dir = folder


def common(own: str, outputs: Path, environment: Mapping[str, str]) -> str:
    """The folder for all processes: `own` of the first that asks, or what SLURM's job decides."""
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store = TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), is_master=False, timeout=WAIT)
        return store.compare_set("vfm_isrefiner/folder", "", own).decode()  # sets what is not set yet, and gives what is
    if "SLURM_STEP_ID" in environment:
        return str(outputs / f"slurm-{environment['SLURM_JOB_ID']}-{environment['SLURM_STEP_ID']}")
    return own
