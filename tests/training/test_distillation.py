"""A teacher beside the truth: what it changes, and what it leaves alone."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from training.blobs import SIDE, data, module, trainer

from vfm_isrefiner.models.build import build_isrefiner, build_mfp
from vfm_isrefiner.models.checkpoints import CheckpointError, save_network
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training.distillation import Distillation
from vfm_isrefiner.training.restore import read_checkpoint
from vfm_isrefiner.training.simulate_clicks import SimulateClicks, generator_of


@pytest.fixture
def teacher(tmp_path):
    """A file of MFP."""
    torch.manual_seed(7)
    save_network(build_mfp("test", image_size=SIDE), tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


def last(run, name):
    """The value that was logged last."""
    return float(run.callback_metrics[f"train/{name}"])


def trained(tmp_path, distillation, steps=2):
    model = module(distillation=distillation)
    run = trainer(tmp_path, max_steps=steps, max_epochs=-1)
    run.fit(model, datamodule=data())
    return model, run


def test_a_file_brings_its_modulation_and_takes_no_random_number(teacher):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = Distillation.from_checkpoint(teacher, flip=True).teacher
    assert torch.equal(torch.get_rng_state(), before)
    assert (found.modulation, found.first_click_passes, found.flip) == (modulate_mfp, 1, True)
    assert not found.network.training


def test_a_teacher_of_no_weight_changes_nothing(tmp_path, teacher):
    alone, _ = trained(tmp_path, None)
    silent, run = trained(tmp_path, Distillation.from_checkpoint(teacher, weight=0.0))
    other, _ = trained(tmp_path, Distillation.from_checkpoint(teacher, weight=0.5))
    state = alone.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in silent.network.state_dict().items())
    assert not all(torch.equal(value, state[name]) for name, value in other.network.state_dict().items())
    assert last(run, "divergence") > 0


def test_a_student_of_the_teacher_alone_comes_near_to_it(tmp_path, teacher):
    lesson = Distillation.from_checkpoint(teacher, weight=1.0)
    _, first = trained(tmp_path, lesson, steps=4)
    _, later = trained(tmp_path, lesson, steps=60)
    assert last(later, "epoch_divergence") < 0.5 * last(first, "epoch_divergence")


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it():
    torch.manual_seed(0)
    student = build_isrefiner("test", image_size=SIDE).eval()
    lesson = Distillation(Round(student, modulate_isrefiner), weight=1.0)
    batch = next(iter(loader()))
    model = module(network=student)
    interaction = SimulateClicks().play(model.segmenter, batch, 2, generator_of(0))
    logits, loss = model.last_round(batch, interaction)
    mixed, divergence = lesson.mixed(loss, logits, batch, interaction)
    torch.testing.assert_close(lesson.probability(batch, interaction), logits.sigmoid())
    assert mixed.abs().max() < 1e-5 < loss.min()
    assert torch.equal(mixed, divergence)


def loader():
    module = data()
    module.prepare_data()
    module.setup("fit")
    return module.train_dataloader()


def test_the_teacher_is_neither_trained_nor_saved(tmp_path, teacher):
    lesson = Distillation.from_checkpoint(teacher)
    before = {name: value.clone() for name, value in lesson.teacher.network.state_dict().items()}
    model, run = trained(tmp_path, lesson)
    run.save_checkpoint(tmp_path / "a.ckpt")
    names = set(read_checkpoint(tmp_path / "a.ckpt")["state_dict"])
    trained(tmp_path / "plain", None)[1].save_checkpoint(tmp_path / "plain.ckpt")
    assert names == set(read_checkpoint(tmp_path / "plain.ckpt")["state_dict"])
    assert all(torch.equal(value, before[name]) for name, value in lesson.teacher.network.state_dict().items())
    assert len(list(model.parameters())) == len(list(model.network.parameters()))


def test_what_is_trained_with_is_the_weighted_mean(tmp_path, teacher):
    losses = []

    class Seen(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.append(float(outputs["loss"]))

    model = module(distillation=Distillation.from_checkpoint(teacher, weight=0.3))
    run = trainer(tmp_path, [Seen()], max_steps=1)
    run.fit(model, datamodule=data())
    assert losses == [pytest.approx(0.7 * last(run, "loss") + 0.3 * last(run, "divergence"))]


def test_a_teacher_of_another_size_in_bfloat16_goes_on_after_a_stop(tmp_path):
    torch.manual_seed(7)
    file = tmp_path / "wide.safetensors"
    save_network(build_mfp("test", image_size=96), file)
    how = {"precision": "bf16-mixed", "max_epochs": 2}
    whole, stopped, again = (module(distillation=Distillation.from_checkpoint(file, flip=True)) for _ in range(3))
    trainer(tmp_path / "whole", **how).fit(whole, datamodule=data())
    run = trainer(tmp_path / "stopped", **how | {"max_epochs": 1})
    run.fit(stopped, datamodule=data())
    run.save_checkpoint(tmp_path / "a.ckpt")
    trainer(tmp_path / "again", **how).fit(again, datamodule=data(), ckpt_path=tmp_path / "a.ckpt")
    state = whole.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.network.state_dict().items())


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_a_weight_out_of_range_is_refused(teacher, weight):
    with pytest.raises(ValueError, match=f"from 0 to 1; got {weight}"):
        Distillation.from_checkpoint(teacher, weight=weight)


def test_a_teacher_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="in training mode"):
        Distillation(Round(build_mfp("test", image_size=SIDE).train(), modulate_mfp))


def test_a_teacher_that_mixes_objects_is_refused_without_its_mirror_image(tmp_path):
    save_network(build_isrefiner("test", image_size=SIDE, released=True), tmp_path / "released.safetensors")
    with pytest.raises(ValueError, match=r"distillation\.flip=true"):
        Distillation.from_checkpoint(tmp_path / "released.safetensors")
    lesson = Distillation.from_checkpoint(tmp_path / "released.safetensors", flip=True)
    assert lesson.teacher.first_click_passes == 2
    batch = next(iter(loader()))
    interaction = SimulateClicks().play(module().segmenter, batch, 1, generator_of(0))
    other = replace(batch, image=torch.cat([batch.image[:1], batch.image[1:].flip(-2)]))
    torch.testing.assert_close(lesson.probability(batch, interaction)[0], lesson.probability(other, interaction)[0])


def test_a_checkpoint_to_resume_from_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"last\.ckpt .* give the network\.safetensors"):
        Distillation.from_checkpoint(tmp_path / "last.ckpt")
