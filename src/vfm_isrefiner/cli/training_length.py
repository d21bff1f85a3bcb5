"""How long a training lasts: `budget` samples, or `minutes`."""

from __future__ import annotations

from omegaconf import DictConfig, open_dict


def share_out_budget(cfg: DictConfig) -> None:
    """`budget` samples in all, alike in each epoch.

    Raises:
        ValueError: it is not at least one sample an epoch.
    """
    if cfg.budget is None:
        return
    if cfg.budget < cfg.trainer.max_epochs:
        raise ValueError(f"budget={cfg.budget} is less than one sample in each of trainer.max_epochs={cfg.trainer.max_epochs}.")
    cfg.data.samples_per_epoch = round(cfg.budget / cfg.trainer.max_epochs)
    if cfg.data.samples_per_epoch < cfg.data.batch_size:
        raise ValueError(
            f"budget={cfg.budget} in trainer.max_epochs={cfg.trainer.max_epochs} is {cfg.data.samples_per_epoch} samples an "
            f"epoch, which fills no batch of data.batch_size={cfg.data.batch_size}; give more, or fewer epochs."
        )


def end_in_time(cfg: DictConfig) -> None:
    """`minutes` of training, and as many epochs as fit.

    Raises:
        ValueError: `budget` says something else.
    """
    if cfg.minutes is None:
        return
    if cfg.budget is not None:
        raise ValueError(f"minutes={cfg.minutes} and budget={cfg.budget} both say when the training ends; give one of them.")
    cfg.trainer.max_epochs, cfg.scheduler = -1, None  # its own schedule follows the clock
    with open_dict(cfg):
        cfg.callbacks.end_in_time = {"_target_": "vfm_isrefiner.training.end_in_time.EndInTime", "minutes": cfg.minutes}
