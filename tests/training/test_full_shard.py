"""Fully sharded training on two processes: what DDP gives, in whole checkpoints; and what it refuses."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from training.blobs import data, module, trainer
from training.processes import in_ranks

from vfm_isrefiner.evaluation import protocol
from vfm_isrefiner.models.build import build_isrefiner, build_mfp
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.evaluate_noc import EvaluateNoC
from vfm_isrefiner.training.full_shard import shard_fully, unsharded, whole
from vfm_isrefiner.training.restore import restored_network

QUICK = replace(protocol("simpleclick").resized((64, 64)), max_clicks=2)


pytestmark = [
    # DDP's: the strides of a dimension of length one; it says itself that this is no error
    pytest.mark.filterwarnings("ignore:Grad strides do not match bucket view strides"),
    # logits are cut to the image's size, and nobody changes them in place
    pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view tensor"),
]


def mfp():
    torch.manual_seed(0)
    return build_mfp("test", image_size=64)


def fit(rank, folder, name, sharded, max_epochs, resume=None):
    """Each process leaves the shape of what it holds and the whole network; the first one a checkpoint."""
    strategy = ModelParallelStrategy(save_distributed_checkpoint=False) if sharded else "ddp"
    evaluate = EvaluateNoC(QUICK, batch_size=1)  # 3 instances: the first process plays two, the second one
    run = trainer(folder, [evaluate], devices=2, strategy=strategy, max_epochs=max_epochs)
    model = module(network=mfp())
    run.fit(model, datamodule=data(), ckpt_path=resume)
    run.save_checkpoint(folder / f"{name}.ckpt")
    held = sum((p.to_local() if sharded else p).numel() for p in model.network.parameters())
    network = whole(model.network)
    torch.save({"held": held, "state": network.state_dict()}, folder / f"{name}{rank}.pt")


def test_sharded_training_is_what_ddp_gives(tmp_path):
    assert in_ranks(fit, tmp_path, "ddp", False, 2) == [0, 0]
    assert in_ranks(fit, tmp_path, "half", True, 1) == [0, 0]
    assert in_ranks(fit, tmp_path, "sharded", True, 2, tmp_path / "half.ckpt") == [0, 0]
    ddp, *sharded = (torch.load(tmp_path / name, weights_only=True) for name in ("ddp0.pt", "sharded0.pt", "sharded1.pt"))
    assert sum(each["held"] for each in sharded) < 1.1 * ddp["held"], "each process holds about half"
    for each in sharded:
        assert list(each["state"]) == list(ddp["state"])
        torch.testing.assert_close(each["state"], ddp["state"], rtol=0, atol=1e-5)
    restored = restored_network(tmp_path / "sharded.ckpt").state_dict()  # in one process, by no special path
    assert [name for name, value in sharded[0]["state"].items() if not torch.equal(restored[name], value)] == []


def test_what_it_cannot_do_is_told():
    with pytest.raises(TrainingError, match=r"tensors are frozen here, such as .*Take trainer=ddp"):
        shard_fully(build_isrefiner("test", image_size=64), mesh=None)
    with pytest.raises(TrainingError, match="needs first_click_passes=1, got 2"):
        shard_fully(mfp(), mesh=None, first_click_passes=2)


def test_a_checkpoint_of_another_network_is_told():
    model = module(network=mfp())
    model.on_load_checkpoint({"network_config": dict(model.network.config)})
    with pytest.raises(TrainingError, match="The checkpoint is of another network, built with"):
        model.on_load_checkpoint({"network_config": {"kind": "simpleclick"}})


def test_a_plain_network_stays_as_it_is():
    network = mfp()
    with unsharded(network):
        assert whole(network) is network
