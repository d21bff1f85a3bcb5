"""`Ranks`: which process of a distributed start this is, and work on a set of instances shared out over all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed

from vfm_isrefiner.evaluation.evaluation import Evaluation

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
SLURM_STEP = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")  # SLURM_NTASKS is set outside srun too


@dataclass(frozen=True)
class Ranks:
    """Which process this is, and of how many.

    Attributes:
        rank, world: its number, and how many processes there are on all machines.
        local: its number on its machine.

    Raises:
        ValueError: no such rank.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world or self.local < 0:
            raise ValueError(
                f"rank {self.rank} of {self.world} processes (local {self.local}) does not exist; ranks count from 0. "
                "Start with torchrun or srun, which number the processes."
            )

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def device(self, device: torch.device | str) -> torch.device:
        """`device`; where it is "cuda" without a number and there are several processes, each takes its own GPU."""
        device = torch.device(device)
        if device.type != "cuda" or device.index is not None or self.world == 1:
            return device
        return torch.device("cuda", self.local % max(1, torch.cuda.device_count()))  # srun may show each task one GPU


ALONE = Ranks()


def launched(environment: Mapping[str, str] | None = None) -> Ranks:
    """As torchrun or srun numbered this process; alone where neither started it.

    Raises:
        ValueError: the numbers do not fit together.
    """
    found = os.environ if environment is None else environment
    for names in (TORCHRUN, SLURM_STEP):
        if names[0] in found and names[1] in found:
            rank, world, local = (int(found.get(name, 0)) for name in names)
            return Ranks(rank, world, local)
    return ALONE


@contextmanager
def process_group(ranks: Ranks, timeout: timedelta = timedelta(minutes=30)) -> Iterator[None]:
    """Inside, the processes can exchange results. A group that is there already, such as a training's, is used as it is.

    Args:
        timeout: how long one process waits for another that is slow; one that has died is noticed at once.
    """
    if ranks.world == 1 or torch.distributed.is_initialized():
        yield
        return
    for name, value in meeting_point(os.environ).items():
        os.environ.setdefault(name, value)
    # gloo: what is exchanged are small Python objects, on any device
    torch.distributed.init_process_group("gloo", rank=ranks.rank, world_size=ranks.world, timeout=timeout)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def meeting_point(environment: Mapping[str, str]) -> dict[str, str]:
    """MASTER_ADDR and MASTER_PORT of a SLURM step: its first host, and a port that job and step decide; {} without SLURM."""
    nodes, job = environment.get("SLURM_STEP_NODELIST"), environment.get("SLURM_JOB_ID")
    if nodes is None or job is None:
        return {}
    step = int(environment.get("SLURM_STEP_ID", 0))
    return {"MASTER_ADDR": first_host(nodes), "MASTER_PORT": str(20_000 + (int(job) * 31 + step) % 10_000)}


def first_host(nodes: str) -> str:
    """The first of SLURM's list: "gpu[03-05,9],login" -> "gpu03", "login,gpu[3-5]" -> "login"."""
    one_of_each = re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", nodes)
    return one_of_each.split(",")[0]


class Play(Protocol):
    """`evaluate`, or what wraps it, with all but the instances given."""

    def __call__(self, *, indices: Sequence[int]) -> Evaluation: ...


def shared_out(play: Play, count: int, ranks: Ranks, together: int = 1) -> Evaluation:
    """Rank r plays groups r, r + world, ... of `count` instances; every rank gets the results of all, in the order of the set.

    Each instance is played once, whatever divides by what. All ranks call it, inside `process_group`.

    Args:
        together: instances of a group: the batch size of `play`. Whoever plays a group then computes on the very batches on
            which one process alone computes, so the results are the same to the last bit. Rounding depends on a batch's shape.

    Raises:
        ValueError: `together` is not positive.
    """
    if together < 1:
        raise ValueError(f"together must be at least 1, got {together}; give the batch size.")
    part = play(indices=[index for index in range(count) if index // together % ranks.world == ranks.rank])
    if ranks.world == 1:
        return part
    parts: list[Any] = [None] * ranks.world
    torch.distributed.all_gather_object(parts, part)
    results = sorted((result for each in parts for result in each.results), key=lambda result: result.index)
    return replace(part, results=tuple(results))
