"""NoC after an epoch; two processes give what one gives, instance by instance."""

import pickle
from dataclasses import replace

import pytest
from lightning.pytorch import Callback
from training.blobs import data, module, trainer

from vfm_isrefiner import evaluation
from vfm_isrefiner.training import evaluate_noc
from vfm_isrefiner.training.evaluate_noc import EvaluateNoC, scores


class Remember(Callback):
    """Evaluates at the end and writes what each rank got."""

    def __init__(self, folder, **settings):
        self.folder, self.noc = folder, EvaluateNoC("simpleclick", batch_size=2, **settings)

    def on_train_end(self, trainer, pl_module):
        result = self.noc.evaluate(trainer, pl_module)
        path = self.folder / f"{trainer.world_size}-{trainer.global_rank}.pickle"
        path.write_bytes(pickle.dumps([(r.id, r.ious, r.clicks) for r in result.results]))


@pytest.fixture
def small_protocol(monkeypatch):
    """`simpleclick` at the test model's size, three clicks: quick."""
    def small(name):
        return replace(evaluation.protocol(name).resized(64), max_clicks=3)

    monkeypatch.setattr(evaluate_noc, "protocol", small)


def test_two_processes_give_what_one_gives(tmp_path, small_protocol):
    # nothing is trained (lr 0), so both runs evaluate the same weights; 5 instances over 2 ranks do not divide
    for settings in ({}, {"devices": 2, "strategy": "ddp_fork"}):
        run = trainer(tmp_path, [Remember(tmp_path)], max_steps=1, **settings)
        run.fit(module(optimizer_lr=0.0), datamodule=data(val_count=5))
    one, *two = (pickle.loads((tmp_path / name).read_bytes()) for name in ("1-0.pickle", "2-0.pickle", "2-1.pickle"))
    assert len(one) == 5
    assert two == [one, one]


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
