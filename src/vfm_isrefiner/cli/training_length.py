"""How long a training lasts: `budget` samples, or `minutes`."""

from __future__ import annotations

from omegaconf import DictConfig, open_dict

END_IN_TIME = "vfm_isrefiner.training.end_in_time.EndInTime"
# what `minutes` takes the place of: settings that begin so say nothing then
REPLACED = ("trainer.max_", "scheduler.", "callbacks.best.")


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
    """`minutes` of training: no other limit, a schedule of its own, and the last weights are the ones to keep, for those of an
    epoch in the middle had a high learning rate.

    Raises:
        ValueError: `budget` says something else.
    """
    if cfg.minutes is None:
        return
    if cfg.budget is not None:
        raise ValueError(
            f"minutes={cfg.minutes} and budget={cfg.budget} both say when the training ends; take minutes=null or budget=null."
        )
    cfg.trainer.max_epochs, cfg.trainer.max_steps, cfg.trainer.max_time, cfg.scheduler = -1, -1, None, None
    with open_dict(cfg):
        # before the callback that saves when it is over, which this one decides
        cfg.callbacks = {"end_in_time": {"_target_": END_IN_TIME, "minutes": cfg.minutes}, **cfg.callbacks}
        if "best" in cfg.callbacks:
            cfg.callbacks.best = None
        if cfg.trainer.get("enable_progress_bar", True):  # Lightning's other bar shows "Epoch 0/-2" where there is no last one
            cfg.callbacks.progress = {"_target_": "lightning.pytorch.callbacks.TQDMProgressBar"}
