"""`Panels`: click-by-click pictures of some validation instances, every few epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, final

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from torch import nn

from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import EvaluationProtocol, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import in_eval_mode

Draw = Callable[[Instance, list[Interaction], Path], Any]


@final
class Panels(Callback):
    """Draws on the first rank alone; the pictures go to `folder`/epoch=NNN, and to W&B where it is the logger.

    Args:
        folder: of the pictures.
        draw: instance, the interaction after each click, file to write.
        protocol: by name, or built; `input_size` as in `EvaluateNoC`.
        every_n_epochs: how often.
        instances: how many of each validation set, spread evenly over it.
    """

    def __init__(
        self,
        folder: str | Path,
        draw: Draw,
        protocol: str | EvaluationProtocol = "paper",
        input_size: int | None = None,
        every_n_epochs: int = 5,
        instances: int = 4,
    ) -> None:
        if every_n_epochs < 1 or instances < 1:
            raise ValueError(
                f"every_n_epochs and instances must be at least 1, got {every_n_epochs} and {instances}; "
                "callbacks.panels=null draws nothing."
            )
        self.folder, self.draw, self.protocol = Path(folder), draw, named(protocol, input_size)
        self.every_n_epochs, self.instances = every_n_epochs, instances

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, InteractiveSegmentation), "Panels goes with InteractiveSegmentation"
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it in fit
        place = self.folder / f"epoch={trainer.current_epoch:03d}"
        with in_eval_mode(pl_module.network), trainer.precision_plugin.forward_context():
            files = [
                file
                for instances in datamodule.evaluation_sets("val").values()
                for file in draw_panels(pl_module.round, instances, self.protocol, place, self.instances, self.draw)
            ]
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("panels", [str(file) for file in files], step=trainer.global_step)


def draw_panels(
    round: Round, instances: InstanceSet, protocol: EvaluationProtocol, folder: Path, count: int, draw: Draw
) -> list[Path]:
    """Pictures of `count` instances spread evenly over the set; the files."""
    files = []
    device = next(cast(nn.Module, round.network).parameters()).device
    for number in range(min(count, len(instances))):
        instance = instances[number * len(instances) // count if count < len(instances) else number]
        file = folder / f"{instance.source}-{instance.id.replace('/', '_')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(instance, trace(round, instance, protocol, device=device), file)
        files.append(file)
    return files
