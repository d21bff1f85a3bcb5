"""`Panels`: click-by-click pictures of some validation instances, every few epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from vfm_isrefiner.data.instance_set import InstanceSet
from vfm_isrefiner.evaluation import EvaluationProtocol, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.rollout import RoundLike
from vfm_isrefiner.training.dashboard import Dashboard
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.full_shard import unsharded
from vfm_isrefiner.training.go_on import GoOn
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import in_eval_mode

Draw = Callable[[Instance, list[Interaction], Path], Any]


@final
class Panels(Callback):
    """Draws on the first rank alone; the pictures go to `folder`/epoch=NNN, and to the dashboards among the loggers.

    A picture that cannot be written (a full disk) is told once and left out; the training goes on.

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
        self._go_on = GoOn("Drawing pictures", OSError)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        assert isinstance(pl_module, InteractiveSegmentation), "Panels goes with InteractiveSegmentation"
        with unsharded(pl_module.network):  # on every rank, though the first draws alone
            if trainer.is_global_zero:
                self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, pl_module: InteractiveSegmentation) -> None:
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning attaches it in fit
        place = self.folder / f"epoch={trainer.current_epoch:03d}"
        with in_eval_mode(pl_module.network), trainer.precision_plugin.forward_context():
            files = [
                file
                for instances in datamodule.evaluation_sets("val").values()
                for file in draw_panels(
                    pl_module.round,
                    instances,
                    self.protocol,
                    place,
                    self.instances,
                    self.draw,
                    self._go_on,
                    device=pl_module.device,
                )
            ]
        for logger in trainer.loggers:
            if isinstance(logger, Dashboard) and files:
                logger.log_pictures("panels", files, trainer.global_step)


def draw_panels(
    round: RoundLike,
    instances: InstanceSet,
    protocol: EvaluationProtocol,
    folder: Path,
    count: int,
    draw: Draw,
    go_on: GoOn | None = None,
    *,
    device: torch.device | str = "cpu",
) -> list[Path]:
    """Pictures of `count` instances spread evenly over the set; the files that could be written.

    A file that could not is told by `go_on`; without one, by one of its own.
    """
    files: list[Path] = []
    go_on = go_on or GoOn("Drawing pictures", OSError)
    for number in range(min(count, len(instances))):
        instance = instances[number * len(instances) // count if count < len(instances) else number]
        file = folder / f"{instance.source}-{instance.id.replace('/', '_')}.png"
        history = trace(round, instance, protocol, device=device)
        files += go_on.past(lambda: [_drawn(draw, instance, history, file)], [])  # noqa: B023  # called at once
    return files


def _drawn(draw: Draw, instance: Instance, history: list[Interaction], file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    draw(instance, history, file)
    return file
