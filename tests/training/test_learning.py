"""Training learns, within two minutes, and each part of the loop is needed for it.

What breaking a part costs was measured with `python tests/training/test_learning.py BREAK`; docs/results.md has the numbers.
A network that sees clicks, history and the modulated map adapts to a map that is merely wrong, so what the modulation
carries is proved by a second network that hears of later clicks through that map alone.
"""

import sys
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim.lr_scheduler import CosineAnnealingLR

from vfm_isrefiner.data.augment import PaperAugmentation
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.synthetic import SyntheticScenes
from vfm_isrefiner.evaluation import evaluate, protocol, running
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_none
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training import simulate_clicks
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import SimulateClicks

SIDE, STEPS, BATCH, EPOCHS = 64, 300, 16, 10
UNTRAINED = 19.5  # NoC@80 of an untrained network is above it
LEARNED = 16.0  # and of a trained one below it; with a broken clicker or a frozen decoder it is not
HEARD = 16.0
RULE = protocol("close").resized((SIDE, SIDE))


class LaterClicksByModulation(torch.nn.Module):
    """A network that is shown the first click, and from then on M_mod alone: no click maps, no M_prev."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.config = {}

    def encode_image(self, image):
        return self.network.encode_image(image)

    def forward(self, features, click_maps, prev_prob, mod_prob):
        first = ~prev_prob.flatten(1).any(1)[:, None, None, None]
        return self.network(features, click_maps * first, torch.zeros_like(prev_prob), mod_prob)


def noc80(network, modulation):
    """NoC@80 on held-out scenes."""
    scenes = SyntheticScenes(count=40, size=SIDE, seed=9).where(min_area=60, limit=60, seed=1)
    return evaluate(Round(network.eval(), modulation), scenes, RULE, batch_size=30).summary()["noc"]["80"]


def learn(network, modulation, seed=0):
    """Train for `STEPS` steps on synthetic scenes."""
    data = RemoteSensingInstances(
        train={"synthetic": SyntheticScenes(count=120, size=SIDE, seed=1)},
        val=None,
        test=None,
        augmentation=PaperAugmentation(crop_size=SIDE),
        batch_size=BATCH,
        samples_per_epoch=BATCH * STEPS // EPOCHS,
        min_area=60,
    )
    module = InteractiveSegmentation(
        network=network.train(),
        modulation=modulation,
        optimizer=partial(torch.optim.AdamW, lr=3e-3),
        scheduler=partial(CosineAnnealingLR, T_max=EPOCHS),
    )
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        callbacks=[SimulateClicks(seed=seed)],
        **quiet,
    )
    trainer.fit(module, datamodule=data)
    return network


def small_network(seed=0):
    torch.manual_seed(seed)
    return build_isrefiner("test", image_size=SIDE, train_backbone=True)


@pytest.mark.slow
def test_training_learns_to_need_fewer_clicks():
    network = small_network()
    assert noc80(network, modulate_isrefiner) > UNTRAINED
    assert noc80(learn(network, modulate_isrefiner), modulate_isrefiner) < LEARNED


@pytest.mark.slow
def test_later_clicks_reach_the_network_through_the_modulated_map():
    network = learn(LaterClicksByModulation(small_network()), modulate_isrefiner)
    assert noc80(network, modulate_isrefiner) < HEARD


def swapped(choose):
    """A clicker that calls errors by the wrong name."""

    def click(*arguments):
        yx, label = choose(*arguments)
        return yx, torch.where(label >= 0, 1 - label, label).to(torch.int8)

    return click


def main(broken: str) -> None:
    """Print NoC@80 of both trainings with one part broken: none, clicker, decoder, modulation_none, modulation_zero."""
    modulation = {"modulation_none": modulate_none, "modulation_zero": lambda prob, clicks: torch.zeros_like(prob)}.get(
        broken, modulate_isrefiner
    )
    if broken == "clicker":
        simulate_clicks.sample_next_click = swapped(simulate_clicks.sample_next_click)
        running.next_click = swapped(running.next_click)
    for name, wrap in (("whole network", lambda network: network), ("later clicks by M_mod alone", LaterClicksByModulation)):
        inner = small_network()
        if broken == "decoder":
            for part in (inner.mask_decoder, inner.dynamic_conv, inner.upsample_fused):
                part.requires_grad_(False)
        network = wrap(inner)
        print(f"{broken:<16}{name:<30}NoC@80 {noc80(learn(network, modulation), modulation):.2f}", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main(sys.argv[1] if len(sys.argv) > 1 else "none")
