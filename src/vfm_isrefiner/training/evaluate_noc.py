"""`EvaluateNoC`: plays the evaluation protocol on validation instances after an epoch, shared out over the ranks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import Evaluation, EvaluationProtocol, evaluate, protocol
from vfm_isrefiner.evaluation.ranks import Ranks, shared_out
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training.full_shard import unsharded
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import in_eval_mode
from vfm_isrefiner.training.statistics import share_statistics

NOC = ("80", "85", "90")
MIOU = ("1", "3", "5", "10")


@final
class EvaluateNoC(Callback):
    """Logs `val/noc80`, `val/noc85`, `val/noc90` and `val/miou@k` over all sets, and `val/<source>/noc80` of each.

    Args:
        protocol: by name, or built.
        input_size: side in pixels of the network's input instead of the protocol's, for a network trained on smaller crops.
        every_n_epochs: how often.
        max_instances: at most that many of each set, drawn alike each time.
        batch_size: instances played at once on each rank.
        split: which sets of the data module, `val` (for choices) or `test`.
        folder: where per-instance results are written, in one folder an epoch; None writes none.
    """

    def __init__(
        self,
        protocol: str | EvaluationProtocol = "paper",
        input_size: int | None = None,
        every_n_epochs: int = 1,
        max_instances: int | None = None,
        batch_size: int = 8,
        split: str = "val",
        folder: str | Path | None = None,
    ) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}; drop the callback to evaluate never.")
        self.protocol = named(protocol, input_size)
        self.every_n_epochs, self.max_instances, self.batch_size = every_n_epochs, max_instances, batch_size
        self.split, self.folder = split, None if folder is None else Path(folder)

    def due(self, epoch: int) -> bool:
        """Whether it evaluates after this epoch, counted from 0."""
        return (epoch + 1) % self.every_n_epochs == 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.due(trainer.current_epoch):
            return
        result = self.evaluate(trainer, pl_module)
        for name, value in scores(result.summary()).items():
            # the same number on every rank; the largest of them is exactly it
            pl_module.log(f"{self.split}/{name}", value, prog_bar=name == "noc80", reduce_fx="max", sync_dist=True)
        if self.folder is not None and trainer.is_global_zero:
            result.save(self.folder / f"epoch={trainer.current_epoch:03d}")

    def evaluate(self, trainer: Trainer, module: LightningModule) -> Evaluation:
        """All instances of all sets, the same object on every rank."""
        assert isinstance(module, InteractiveSegmentation), "EvaluateNoC goes with InteractiveSegmentation"
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it in fit
        sets = datamodule.evaluation_sets(self.split)
        share_statistics(module.network, trainer.world_size)
        with in_eval_mode(module.network), unsharded(module.network), trainer.precision_plugin.forward_context():
            return evaluate_on_ranks(
                module.round,
                sets,
                self.protocol,
                max_instances=self.max_instances,
                batch_size=self.batch_size,
                device=module.device,
                ranks=Ranks(trainer.global_rank, trainer.world_size, trainer.local_rank),
            )


def named(wanted: str | EvaluationProtocol, input_size: int | None = None) -> EvaluationProtocol:
    """The protocol of that name, or a built one; with another input size of the network where one is given.

    Raises:
        ValueError: an unknown name.
    """
    rule = protocol(wanted) if isinstance(wanted, str) else wanted
    if input_size is None:
        return rule
    square = rule.zoom is not None and isinstance(rule.zoom.target, tuple)
    return rule.resized((input_size, input_size) if square else input_size)


def evaluate_on_ranks(
    round: Round,
    sets: Mapping[str, InstanceSet],
    protocol: EvaluationProtocol,
    *,
    max_instances: int | None,
    batch_size: int,
    device: torch.device | str,
    ranks: Ranks,
) -> Evaluation:
    """Each set shared out over `ranks`; every rank gets the results of all instances of all sets, in their order."""
    whole = []
    for instances in sets.values():
        chosen = instances if max_instances is None else instances.where(limit=max_instances)
        play = partial(evaluate, round, chosen, protocol, batch_size=batch_size, device=device, data=chosen.fingerprint())
        whole.append(shared_out(play, len(chosen), ranks, batch_size))
    if len(whole) == 1:
        return whole[0]
    results = tuple(result for evaluation in whole for result in evaluation.results)
    return Evaluation(results, protocol, whole[0].model, " ".join(part.data for part in whole), whole[0].target_iou)


def scores(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an evaluation's summary that are worth a curve; undefined ones are left out."""
    found = {f"noc{threshold}": summary["noc"].get(threshold) for threshold in NOC}
    found |= {f"miou@{k}": summary["miou"].get(k) for k in MIOU}
    if len(summary["sources"]) > 1:
        found |= {f"{source}/noc80": part["noc"].get("80") for source, part in summary["sources"].items()}
    return {name: float(value) for name, value in found.items() if value is not None}
