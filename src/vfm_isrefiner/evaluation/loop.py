"""`evaluate`: simulated clicks on every instance, many instances at a time; `trace`: the same on one, to look at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Protocol, final

import torch
from torch import Tensor

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.evaluation.evaluation import Evaluation
from vfm_isrefiner.evaluation.progress import progress_bar
from vfm_isrefiner.evaluation.protocols import EvaluationProtocol
from vfm_isrefiner.evaluation.result import InstanceResult
from vfm_isrefiner.evaluation.running import Running, clicker, described
from vfm_isrefiner.instance import Instance, InstanceBatch
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.rollout import Round, RoundLike, Segmenter, rollout


class Instances(Protocol):
    """Any sequence of instances, such as an `InstanceSet` or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Instance: ...


@torch.no_grad()
def evaluate(
    round: RoundLike,
    instances: Instances,
    protocol: EvaluationProtocol,
    *,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    progress: bool = False,
    target_iou: float | None = None,
    indices: Sequence[int] | None = None,
    model: str = "",
    data: str = "",
    on_result: Callable[[InstanceResult], None] | None = None,
) -> Evaluation:
    """Click on every instance until `target_iou` or `protocol.max_clicks`.

    The clicks and IoUs of an instance do not depend on those that share its batch. A finished instance leaves the batch and a
    waiting one takes its place. Without zoom-in the network sees images of any size, so these run one by one.

    Args:
        round: its network in eval mode and on `device`; whether it flips, the protocol says.
        instances: what to click on. indices: which of them; None is all. Results come in their order.
        batch_size: instances that run together.
        progress: show a bar on the terminal.
        target_iou: an instance stops once its IoU is at least this; None makes all clicks, as the paper's numbers do.
        model, data: fingerprints or names, kept in the summary.
        on_result: called with each result as soon as it is there.

    Raises:
        ValueError: the network is in training mode, or batch_size is not positive.
    """
    if isinstance(round, Round) and round.network.training:
        raise ValueError(
            "evaluate got a network in training mode, whose dropout and statistics blur IoUs; call network.eval()."
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    indices = range(len(instances)) if indices is None else indices
    segmenter = _Stopwatch(protocol.segmenter(round), torch.device(device))
    results: list[InstanceResult] = []
    with (
        progress_bar(f"evaluate ({protocol.name})", len(indices), progress) as advance,
        closing(_read_ahead(instances, indices, batch_size)) as waiting,
    ):
        room = batch_size if protocol.zoom is not None else 1
        for result in _play_all(segmenter, waiting, protocol, room, target_iou, device):
            results.append(result)
            advance(result)
            if on_result is not None:
                on_result(result)
    place = {index: number for number, index in enumerate(indices)}
    results.sort(key=lambda result: place[result.index])
    return Evaluation(tuple(results), protocol, model, data, target_iou)


@torch.no_grad()
def trace(
    round: RoundLike, instance: Instance, protocol: EvaluationProtocol, *, device: torch.device | str = "cpu"
) -> list[Interaction]:
    """One instance clicked on as `evaluate` does: the interaction after each of `protocol.max_clicks` clicks, without features.

    Raises:
        ValueError: the instance has no pixel to click on.
    """
    found = described(0, instance)
    if not found.evaluated:
        raise ValueError(f"Instance {instance.id!r} of {instance.source} cannot be clicked on: it is {found.status}.")
    batch = InstanceBatch.collate([instance]).to(device)
    segmenter = protocol.segmenter(round)
    begin = segmenter.start(batch.image, batch.size)
    click = clicker(batch.mask, batch.ignore, protocol.threshold)
    return [replace(it, features=None, flipped=None) for it in rollout(segmenter, begin, click, protocol.max_clicks)]


def _play_all(
    segmenter: _Stopwatch,
    waiting: Iterator[tuple[InstanceResult, Instance]],
    protocol: EvaluationProtocol,
    room: int,
    target_iou: float | None,
    device: torch.device | str,
) -> Iterator[InstanceResult]:
    """Results in the order in which instances finish; at most `room` of them run together."""
    running: Running | None = None
    since = time.perf_counter()
    while True:
        skipped, fresh = _drawn(waiting, room - (len(running) if running else 0))
        yield from skipped
        if fresh:
            results, instances = zip(*fresh, strict=True)
            started = Running.start(segmenter, instances, results, device)
            running = running.joined(started) if running else started
        if running is None:
            if skipped:
                continue
            return
        done: list[int] = []
        rounds = protocol.max_clicks - max(len(record.ious) for record in running.records)
        click = clicker(running.mask, running.ignore, protocol.threshold)
        for interaction in rollout(segmenter, running.interaction, click, rounds):
            running = replace(running, interaction=interaction)
            running.score(interaction, protocol.threshold)
            now, network = time.perf_counter(), segmenter.taken()
            running.spend(network, now - since - network)
            since = now
            done = [row for row, record in enumerate(running.records) if _is_done(record.ious, protocol, target_iou)]
            if done:
                break
        yield from running.leaving(done)
        running = running.staying([row for row in range(len(running)) if row not in done])


def _is_done(ious: list[float], protocol: EvaluationProtocol, target_iou: float | None) -> bool:
    return len(ious) >= protocol.max_clicks or (target_iou is not None and ious[-1] >= target_iou)


def _drawn(
    waiting: Iterator[tuple[InstanceResult, Instance]], room: int
) -> tuple[list[InstanceResult], list[tuple[InstanceResult, Instance]]]:
    """The next `room` instances: results of those that cannot be clicked on, and the others.

    Those that cannot keep their place free, so that batches do not depend on who plays the instances before them (ranks.py).
    """
    skipped: list[InstanceResult] = []
    fresh: list[tuple[InstanceResult, Instance]] = []
    while len(fresh) + len(skipped) < room and (drawn := next(waiting, None)) is not None:
        if drawn[0].evaluated:
            fresh.append(drawn)
        else:
            skipped.append(drawn[0])
    return skipped, fresh


def _read_ahead(
    instances: Instances, indices: Sequence[int], ahead: int
) -> Generator[tuple[InstanceResult, Instance], None, None]:
    """Instances in order, read and described by a thread of their own while the network works."""

    def read(index: int) -> tuple[InstanceResult, Instance]:
        instance = instances[index]
        return described(index, instance), instance

    todo, queue = iter(indices), deque[Future[tuple[InstanceResult, Instance]]]()
    pool = ThreadPoolExecutor(1, "read-ahead")  # one: data sets are not made for several
    try:
        queue.extend(pool.submit(read, index) for index in islice(todo, ahead))
        while queue:
            drawn = queue.popleft().result()
            queue.extend(pool.submit(read, index) for index in islice(todo, 1))
            yield drawn
    finally:
        pool.shutdown(cancel_futures=True)


@final
class _Stopwatch:
    """A segmenter that counts the seconds spent in it."""

    def __init__(self, segmenter: Segmenter, device: torch.device) -> None:
        self.segmenter, self.device, self.seconds = segmenter, device, 0.0

    def start(self, image: Tensor, size: Tensor | None = None) -> Interaction:
        begun = self._now()
        interaction = self.segmenter.start(image, size)
        self.seconds += self._now() - begun
        return interaction

    def refine(self, interaction: Interaction, clicks: Clicks) -> Interaction:
        begun = self._now()
        interaction = self.segmenter.refine(interaction, clicks)
        self.seconds += self._now() - begun
        return interaction

    def taken(self) -> float:
        """Seconds since it was last asked."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds

    def _now(self) -> float:
        if self.device.type == "cuda":  # its work is only queued otherwise
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
