"""A set of bright disks and boxes on noise, and the small parts of a training run on it."""

from functools import partial

import torch
from lightning.pytorch import Trainer
from torch.optim.lr_scheduler import MultiStepLR

from vfm_isrefiner.data.augment import PaperAugmentation
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.training.checkpoint_io import AtomicCheckpointIO
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import SimulateClicks

SIDE = 64


class Blobs(InstanceSet):
    """`count` images of one bright shape each."""

    def __init__(self, count=8, seed=0):
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        boxes = [tuple(torch.randint(8, 28, (4,), generator=generator).tolist()) for _ in range(count)]
        records = [
            InstanceRecord(f"{i}", 1, f"{i}/1", "blob", w * h, (x, y, w, h), (SIDE, SIDE))
            for i, (x, y, w, h) in enumerate(boxes)
        ]
        super().__init__("blobs", records)

    def read_image(self, record):
        generator = torch.Generator().manual_seed(self.seed + int(record.image))
        noise = torch.randint(0, 90, (3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        return noise + 120 * self.read_mask(record)[0].to(torch.uint8)

    def read_mask(self, record):
        mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
        x, y, w, h = record.bbox
        mask[:, y : y + h, x : x + w] = True
        return mask, torch.zeros_like(mask)


def data(count=8, batch_size=2, val_count=3, **changes):
    settings = {"batch_size": batch_size, "samples_per_epoch": count, "min_area": 16, "merge_probability": 0.0} | changes
    return RemoteSensingInstances(
        train={"blobs": Blobs(count)},
        val={"blobs": Blobs(val_count, seed=99)},
        test=None,
        augmentation=PaperAugmentation(crop_size=SIDE),
        **settings,
    )


def module(seed=0, optimizer_lr=1e-3, **changes):
    torch.manual_seed(seed)
    settings = {
        "network": build_isrefiner("test", image_size=SIDE),
        "modulation": modulate_isrefiner,
        "network_seed": seed,
    } | changes
    return InteractiveSegmentation(
        optimizer=partial(torch.optim.Adam, lr=optimizer_lr),
        scheduler=partial(MultiStepLR, milestones=[1], gamma=0.5),
        **settings,
    )


def trainer(folder, callbacks=(), **changes):
    settings = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 2,
        "limit_val_batches": 0,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "log_every_n_steps": 1,
        "default_root_dir": folder,
        "plugins": [AtomicCheckpointIO()],
    } | changes
    return Trainer(callbacks=[SimulateClicks(seed=3), *callbacks], **settings)
