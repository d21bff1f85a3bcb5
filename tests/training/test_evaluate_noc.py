"""NoC after an epoch; two processes give what one gives, instance by instance."""

import pickle
from dataclasses import replace

import pytest
from lightning.pytorch import Callback
from training.blobs import data, module, trainer

from vfm_isrefiner import evaluation
from vfm_isrefiner.evaluation.ranks import Ranks
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.training import evaluate_noc
from vfm_isrefiner.training.evaluate_noc import EvaluateNoC, evaluate_on_ranks, named, scores
from vfm_isrefiner.training.restore import restored_network


class Remember(Callback):
    """Evaluates at the end, writes what each rank got, and saves the weights."""

    def __init__(self, folder):
        self.folder, self.noc = folder, EvaluateNoC("simpleclick", batch_size=2)

    def on_train_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.folder / "weights.ckpt")
        result = self.noc.evaluate(trainer, pl_module)
        statistics = sum(float(buffer.double().abs().sum()) for buffer in pl_module.network.buffers())
        (self.folder / f"{trainer.global_rank}.pickle").write_bytes(pickle.dumps((told(result), statistics)))


def told(result):
    return [(each.id, each.ious, each.clicks) for each in result.results]


@pytest.fixture
def small_protocol(monkeypatch):
    """`simpleclick` at the test model's size, three clicks: quick."""

    def small(name):
        return replace(evaluation.protocol(name).resized((64, 64)), max_clicks=3)

    monkeypatch.setattr(evaluate_noc, "protocol", small)


def test_two_processes_give_what_one_gives(tmp_path, small_protocol):
    sets = data(val_count=5).evaluation_sets("val")  # 5 over 2 ranks: 3 and 2
    run = trainer(tmp_path, [Remember(tmp_path)], max_steps=2, devices=2, strategy="ddp_fork")
    run.fit(module(), datamodule=data(val_count=5))
    round = Round(restored_network(tmp_path / "weights.ckpt"), modulate_isrefiner)
    rule = evaluate_noc.protocol("simpleclick")
    alone = evaluate_on_ranks(round, sets, rule, max_instances=None, batch_size=5, device="cpu", ranks=Ranks())
    assert len(alone.results) == 5
    (first, statistics), (second, others) = (pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in (0, 1))
    assert first == second == told(alone)
    assert statistics == others, "both ranks evaluate with the same batch norm statistics"


def test_rank_without_instances_takes_part(tmp_path, small_protocol):
    run = trainer(tmp_path, [Remember(tmp_path)], max_steps=1, devices=2, strategy="ddp_fork")
    run.fit(module(), datamodule=data(val_count=1))
    results = [pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in (0, 1)]
    assert len(results[0][0]) == 1
    assert results[0] == results[1]


def test_scores_are_logged_every_other_epoch(tmp_path, small_protocol):
    seen = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append("val/noc80" in trainer.callback_metrics)

    noc = EvaluateNoC("simpleclick", every_n_epochs=2, max_instances=2, folder=tmp_path / "noc")
    run = trainer(tmp_path, [noc, Watch()], limit_train_batches=1)
    run.fit(module(), datamodule=data())
    assert seen == [False, True]
    assert 1 <= float(run.callback_metrics["val/noc80"]) <= 3
    assert 0 <= float(run.callback_metrics["val/miou@1"]) <= 1
    assert [folder.name for folder in (tmp_path / "noc").iterdir()] == ["epoch=001"]
    assert (tmp_path / "noc" / "epoch=001" / "instances.parquet").is_file()


def test_undefined_scores_are_left_out():
    summary = {"noc": {"80": None, "85": 3.0}, "miou": {"1": 0.5}, "sources": {"a": {}}}
    assert scores(summary) == {"noc85": 3.0, "miou@1": 0.5}


def test_unknown_protocol_and_period_are_told():
    with pytest.raises(ValueError, match="paper"):
        EvaluateNoC("cvpr")
    with pytest.raises(ValueError, match="every_n_epochs must be at least 1"):
        EvaluateNoC(every_n_epochs=0)


def test_input_size_keeps_the_form_of_the_protocol():
    assert named("paper", 96).zoom.target == (96, 96)
    assert named("ritm", 96).zoom.target == 96
    assert named(named("paper")).zoom.target == (448, 448)
