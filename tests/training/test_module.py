"""One training step: what moves, what stays, what is saved, what is refused."""

import pytest
import torch
from training.blobs import SIDE, data, module, trainer

from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.freeze import fingerprint, frozen_names, trainable_parameters
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.restore import read_checkpoint, restored_network


def stepped(tmp_path, model, steps=1, **changes):
    run = trainer(tmp_path, max_steps=steps, **changes)
    run.fit(model, datamodule=data())
    return run


def test_frozen_part_is_bit_equal_after_a_step(tmp_path):
    model = module()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    run = stepped(tmp_path, model, steps=2)
    frozen, after = frozen_names(model.network), model.network.state_dict()
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    in_optimizer = {id(parameter) for group in run.optimizers[0].param_groups for parameter in group["params"]}
    assert in_optimizer == {id(parameter) for parameter in trainable_parameters(model.network)}
    trained = {name for name, parameter in model.network.named_parameters() if parameter.requires_grad}
    assert [name for name in trained if torch.equal(before[name], after[name])] == []


def test_every_trainable_parameter_gets_a_gradient(tmp_path):
    model = module()
    seen = {}

    def remember():
        for name, parameter in model.network.named_parameters():
            if parameter.grad is not None:
                seen[name] = max(seen.get(name, 0.0), float(parameter.grad.abs().max()))

    model.on_before_optimizer_step = lambda optimizer: remember()
    stepped(tmp_path, model, steps=3)
    trained = {name for name, parameter in model.network.named_parameters() if parameter.requires_grad}
    assert set(seen) == trained, "a frozen parameter got a gradient, or a trainable one got none"
    assert {name for name, size in seen.items() if size == 0.0} == set()


def test_frozen_part_stays_in_eval_mode_and_the_rest_trains(tmp_path):
    model = module()
    modes = {}
    model.on_before_optimizer_step = lambda optimizer: modes.update(
        vit=model.network.vit.training, fpn=model.network.fpn.training, extractor=model.network.image_extractor.training
    )
    stepped(tmp_path, model)
    assert modes == {"vit": False, "fpn": False, "extractor": True}


def test_checkpoint_holds_the_trained_part_only(tmp_path):
    model = module()
    run = stepped(tmp_path, model)
    run.save_checkpoint(tmp_path / "a.ckpt")
    saved = read_checkpoint(tmp_path / "a.ckpt")
    names = {name.removeprefix("network.") for name in saved["state_dict"]}
    assert names == set(model.network.state_dict()) - frozen_names(model.network)
    assert saved["backbone_fingerprint"] == fingerprint(model.network)


def test_restored_network_is_the_trained_one(tmp_path):
    model = module(seed=5)
    stepped(tmp_path, model).save_checkpoint(tmp_path / "a.ckpt")
    again = restored_network(tmp_path / "a.ckpt")
    assert not again.training
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.network.state_dict().items())


def test_another_backbone_is_refused(tmp_path):
    stepped(tmp_path, module(seed=1)).save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(TrainingError, match=r"another backbone .*model\.backbone_checkpoint=FILE"):
        trainer(tmp_path, max_steps=2).fit(module(seed=2), datamodule=data(), ckpt_path=tmp_path / "a.ckpt")


def test_another_network_is_refused(tmp_path):
    stepped(tmp_path, module()).save_checkpoint(tmp_path / "a.ckpt")
    other = module(network=build_isrefiner("test", image_size=SIDE, use_hq=False))
    with pytest.raises(TrainingError, match=r"another network: .*same model=\.\.\. arguments"):
        trainer(tmp_path, max_steps=2).fit(other, datamodule=data(), ckpt_path=tmp_path / "a.ckpt")


def test_missing_and_foreign_checkpoints_are_told(tmp_path):
    with pytest.raises(TrainingError, match=r"There is no checkpoint .*none\.ckpt"):
        restored_network(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        restored_network(tmp_path / "text.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(TrainingError, match="no checkpoint of `isrefiner train`"):
        restored_network(tmp_path / "other.ckpt")


def test_nan_loss_names_step_and_ids(tmp_path):
    model = module(loss=lambda logits, mask, ignore: logits.mean((1, 2, 3)) * torch.nan)
    with pytest.raises(TrainingError, match=r"The loss is nan at step 0 \(epoch 0\) for blobs:\d+/1.*optimizer\.lr"):
        stepped(tmp_path, model)


def test_step_without_prepared_clicks_is_told():
    model = module()
    batch = InstanceBatch.collate([data().evaluation_sets("val")["blobs"][0]])
    with pytest.raises(TrainingError, match="give the Trainer the callback SimulateClicks"):
        model.training_step(batch, 0)
    model.prepare(batch, Interaction.begin(batch.image, batch.size))
    with pytest.raises(TrainingError, match="No clicks were prepared"):
        model.training_step(InstanceBatch.collate([data().evaluation_sets("val")["blobs"][1]]), 0)
