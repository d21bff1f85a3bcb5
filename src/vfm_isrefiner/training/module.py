"""`InteractiveSegmentation`: one training step is the last round of an interaction, with gradient (paper Section III-A)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast, final

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.losses import normalized_focal_loss
from vfm_isrefiner.metrics import iou
from vfm_isrefiner.models.freeze import fingerprint, frozen_names, trainable_parameters
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.rollout import Network, Round, WholeImage
from vfm_isrefiner.training.compiled import Compiled
from vfm_isrefiner.training.distillation import Distillation
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.full_shard import shard_fully

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
PREFIX = "network."


@final
class InteractiveSegmentation(LightningModule):
    """Trains any network of the two-stage interface.

    Args:
        network: what learns; its frozen part stays in eval mode, out of the optimiser and out of the checkpoint.
        modulation: eq. 8-10, MFP's, or none.
        optimizer: called with the trainable parameters.
        scheduler: called with the optimiser, stepped once an epoch; None keeps the learning rate.
        loss: logits, mask, ignore -> (B,).
        distillation: a teacher whose answers have a share of the loss; None as in the paper.
        first_click_passes: 1 as in the paper, 2 as released.
        threshold: above this probability a pixel counts as object in the logged IoU.
        network_seed: the seed that torch had when `network` was built; a frozen random backbone is drawn from it again.
        compile: training runs the network through torch.compile. `round`, which evaluations play, stays as it is: their batches
            have many sizes.

    Raises:
        TrainingError: in training, `compile` with parameters that are shared out over devices.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        modulation: Modulation,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        loss: Loss = normalized_focal_loss,
        distillation: Distillation | None = None,
        first_click_passes: int = 1,
        threshold: float = 0.5,
        network_seed: int = 0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.compile_network = network, compile
        self.round = Round(cast(Network, network), modulation, first_click_passes=first_click_passes)
        self.trained_round = replace(self.round, network=cast(Network, Compiled(network))) if compile else self.round
        self.segmenter = WholeImage(self.trained_round)
        self.optimizer, self.scheduler, self.loss, self.distillation = optimizer, scheduler, loss, distillation
        self.threshold, self.network_seed = threshold, network_seed
        self.strict_loading = False  # the frozen part is not in the checkpoint; `on_load_checkpoint` checks the rest
        self._prepared: tuple[InstanceBatch, Interaction] | None = None
        self._stepped: tuple[InstanceBatch, Tensor, Finite] | None = None

    def prepare(self, batch: InstanceBatch, interaction: Interaction) -> None:
        """Take the clicks and the previous probability with which the coming `training_step` of `batch` starts."""
        self._prepared = (batch, interaction)

    def training_step(self, batch: InstanceBatch, batch_idx: int) -> Tensor:
        """The last round, with gradient.

        Raises:
            TrainingError: no clicks were prepared for this batch.
        """
        interaction = self._take(batch)
        logits, loss = self.last_round(batch, interaction)
        logged = {"loss": loss.detach().mean()}  # the truth's, so that runs with and without a teacher compare
        if self.distillation is not None:
            loss, divergence = self.distillation.mixed(loss, logits, batch, interaction)
            logged["divergence"] = divergence.detach().mean()
        mean = loss.mean()
        self._stepped = (batch, loss.detach(), Finite(mean.detach()))
        with torch.no_grad():
            logged["iou"] = iou(logits.sigmoid() > self.threshold, batch.mask, batch.ignore).nanmean().float()
        rows = len(batch)
        for name, value in logged.items():
            self.log(f"train/{name}", value, prog_bar=True, batch_size=rows)
            # a batch by itself says little
            self.log(f"train/epoch_{name}", value, on_step=False, on_epoch=True, sync_dist=True, batch_size=rows)
        # a number of the host would make it wait for the device
        rounds = torch.full_like(mean.detach(), interaction.clicks.label.shape[1])
        self.log("train/rounds", rounds, batch_size=rows)
        return mean

    def last_round(self, batch: InstanceBatch, interaction: Interaction) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, H, W) and loss (B,) of the round whose clicks and previous probability `interaction` holds."""
        features, flipped = self.trained_round.encode(batch.image)
        logits = self.trained_round.logits(features, flipped, interaction.clicks, interaction.prob)
        return logits, self.loss(logits, batch.mask, batch.ignore)

    def on_after_backward(self) -> None:
        """Refuse a loss that is not a number, before the optimiser's step. A GPU has its backward pass to do meanwhile and
        afterwards, while the host prepares the next step.

        Raises:
            TrainingError: it is not finite.
        """
        stepped, self._stepped = self._stepped, None
        if stepped is not None and not stepped[2]:
            raise TrainingError(self._not_finite(*stepped[:2]))

    def configure_model(self) -> None:
        """Lightning's hook before the optimiser is made: `trainer=fsdp` shares the parameters out."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            if self.compile_network:
                raise TrainingError("compile=true does not go with trainer=fsdp; take compile=false, or trainer=ddp.")
            shard_fully(self.network, cast(Any, self.device_mesh), self.round.first_click_passes)

    def on_fit_start(self) -> None:
        """Put the teacher, which is no part of the module, on its device."""
        if self.distillation is not None:
            self.distillation.to(self.device)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(trainable_parameters(self.network))
        if self.scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "epoch"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen part out; keep its fingerprint and what the network was built from."""
        frozen = {PREFIX + name for name in frozen_names(self.network)}
        checkpoint["state_dict"] = {name: value for name, value in checkpoint["state_dict"].items() if name not in frozen}
        checkpoint["backbone_fingerprint"] = fingerprint(self.network)
        checkpoint["network_config"] = dict(getattr(self.network, "config", {}))
        checkpoint["network_seed"] = self.network_seed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that was trained on another backbone or belongs to another network.

        Raises:
            TrainingError: one of the two.
        """
        if "state_dict" in checkpoint:
            check_trained_part(self.network, checkpoint)
            return
        built = checkpoint.get("network_config")  # fully sharded training loads the tensors by itself
        if built != dict(getattr(self.network, "config", {})):
            raise TrainingError(f"The checkpoint is of another network, built with {built}: give the same model=... arguments.")

    def _take(self, batch: InstanceBatch) -> Interaction:
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared[0] is not batch:
            raise TrainingError("No clicks were prepared for this batch: give the Trainer the callback SimulateClicks.")
        return prepared[1]

    def _not_finite(self, batch: InstanceBatch, loss: Tensor) -> str:
        bad = [f"{s}:{i}" for s, i, value in zip(batch.source, batch.id, loss.tolist(), strict=True) if value != value]
        return (
            f"The loss is {loss.mean().item()} at step {self.trainer.global_step} (epoch {self.trainer.current_epoch}) "
            f"for {', '.join(bad) or 'the batch'}; the batch holds {', '.join(batch.id)}. Lower the learning rate "
            "(optimizer.lr), clip gradients (trainer.gradient_clip_val=1.0), or look at these images."
        )


@final
class Finite:
    """Whether `value` is a number: asked for now, true or false when it is looked at. The host waits for what the device has
    been given until now, and not for what it is given in between."""

    def __init__(self, value: Tensor) -> None:
        self._answer = torch.isfinite(value).to("cpu", non_blocking=value.is_cuda)
        self._event = torch.cuda.Event() if value.is_cuda else None
        if self._event is not None:
            self._event.record()

    def __bool__(self) -> bool:
        if self._event is not None:
            self._event.synchronize()
        return bool(self._answer)


def check_trained_part(network: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Do the names and the backbone's fingerprint of a training checkpoint fit `network`?

    Raises:
        TrainingError: a trained tensor is missing or extra, or the frozen backbone is another one.
    """
    saved = {name.removeprefix(PREFIX) for name in checkpoint["state_dict"]}
    expected = set(network.state_dict()) - frozen_names(network)
    if saved != expected:
        missing, extra = sorted(expected - saved), sorted(saved - expected)
        raise TrainingError(
            f"The checkpoint is of another network: {len(missing)} tensors are missing {missing[:3]}, {len(extra)} are not "
            f"known here {extra[:3]}. It was built with {checkpoint.get('network_config')}: give the same model=... arguments."
        )
    here, there = fingerprint(network), checkpoint.get("backbone_fingerprint", "")
    if here != there:
        raise TrainingError(
            f"The checkpoint was trained on another backbone (fingerprint {there[:12] or 'none'}, here {here[:12] or 'none'}). "
            "Give the weights it began with: model.backbone_checkpoint=FILE (model.checkpoint=FILE for LoRA), or the same seed "
            "where they are random; network.safetensors of its run needs neither."
        )
