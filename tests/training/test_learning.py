"""Training learns, within two minutes, and a broken clicker, modulation or decoder shows.

`python tests/training/test_learning.py BREAK` prints what each break costs; docs/results.md has the numbers. NoC falls with a
broken clicker and a frozen decoder. It hardly does with a broken modulation: a network that also sees clicks and history
learns to live with a map that is consistently wrong. So the map itself is judged too, on the trained network's own rounds.
"""

import sys
import warnings
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim.lr_scheduler import CosineAnnealingLR

from vfm_isrefiner.click_maps import click_maps
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.data.augment import PaperAugmentation
from vfm_isrefiner.data.datamodule import RemoteSensingInstances
from vfm_isrefiner.data.synthetic import SyntheticScenes
from vfm_isrefiner.evaluation import evaluate, protocol, running, trace
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_none
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training import simulate_clicks
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import SimulateClicks

SIDE, STEPS, BATCH, EPOCHS = 64, 300, 16, 10
UNTRAINED = 19.5  # NoC@80 of an untrained network is above it
LEARNED = 16.0  # and of a trained one below it; with a broken clicker or a frozen decoder it is not
CLOSER = 0.05  # by so much M_mod is nearer to the mask than M_prev around a new click; a broken modulation is not
RULE = protocol("close").resized((SIDE, SIDE))


def noc80(network, modulation):
    """NoC@80 on held-out scenes."""
    scenes = SyntheticScenes(count=40, size=SIDE, seed=9).where(min_area=60, limit=60, seed=1)
    return evaluate(Round(network.eval(), modulation), scenes, RULE, batch_size=30).summary()["noc"]["80"]


def closer(network, modulation, reach=3):
    """How much nearer M_mod is to the mask than M_prev within `reach` px of each new click: mean difference of |p - mask|."""
    scenes = SyntheticScenes(count=40, size=SIDE, seed=9).where(min_area=60, limit=20, seed=1)
    play, rule, gains = Round(network.eval(), modulation), replace(RULE, max_clicks=5), []
    for scene in scenes:
        history = trace(play, scene, rule)
        for before, after in pairwise(history):
            clicks = after.clicks
            near = click_maps(Clicks(clicks.yx[:, -1:], torch.ones(1, 1, dtype=torch.int8)), (SIDE, SIDE), reach)[:, :1] > 0
            near &= ~scene.ignore
            errors = [(prob - scene.mask.float()).abs()[near].mean() for prob in (before.prob, modulation(before.prob, clicks))]
            gains.append((errors[0] - errors[1]).item())
    return sum(gains) / len(gains)


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
    return build_isrefiner("test", image_size=SIDE)


@pytest.mark.slow
def test_training_learns_to_need_fewer_clicks():
    network = small_network()
    assert noc80(network, modulate_isrefiner) > UNTRAINED
    assert noc80(learn(network, modulate_isrefiner), modulate_isrefiner) < LEARNED
    assert closer(network, modulate_isrefiner) > CLOSER


def swapped(choose):
    """A clicker that calls errors by the wrong name."""

    def click(*arguments):
        yx, label = choose(*arguments)
        return yx, torch.where(label >= 0, 1 - label, label).to(torch.int8)

    return click


def main(broken: str) -> None:
    """Print both measures with one part broken: none, clicker, decoder, modulation_none, _zero or _inverted."""
    modulation = {
        "modulation_none": modulate_none,
        "modulation_zero": lambda prob, clicks: torch.zeros_like(prob),
        "modulation_inverted": lambda prob, clicks: 1 - modulate_isrefiner(prob, clicks),
    }.get(broken, modulate_isrefiner)
    if broken == "clicker":
        simulate_clicks.sample_next_click = swapped(simulate_clicks.sample_next_click)
        running.next_click = swapped(running.next_click)
    network = small_network()
    if broken == "decoder":
        for part in (network.mask_decoder, network.pyramid_fusion, network.upsample_fused, network.dynamic_conv):
            part.requires_grad_(False)
    learn(network, modulation)
    print(f"{broken:<20} NoC@80 {noc80(network, modulation):5.2f}  closer {closer(network, modulation):+.3f}", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main(sys.argv[1] if len(sys.argv) > 1 else "none")
