"""`isrefiner benchmark train` as typed."""

import json
from functools import partial

import pytest

from vfm_isrefiner.benchmark.train_memory import Memory
from vfm_isrefiner.cli.settings import composed

QUICK = (
    "model.size=test",
    "side=64",
    "data.batch_size=2",
    "data.train.synthetic.count=2",
    "repeats=1",
    "warm_up=0",
    "batches=1",
    "memory_batch=2",
    "growth_batches=[1]",
    "growth_sides=[32]",
)


@pytest.fixture
def run(isrefiner):
    """Runs the command as typed; gives its exit status."""
    return partial(isrefiner, "benchmark", "train")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable")
def test_all_rows_are_measured(run, tmp_path, capsys, monkeypatch):
    asked = []
    memory = Memory(1 * 10**9, 2 * 10**9, 4 * 10**9, {"decoder": 10**9})
    monkeypatch.setattr(
        "vfm_isrefiner.cli.benchmark_train.projected_memory", lambda network, *sizes: asked.append(sizes) or memory
    )
    assert run(*QUICK, "--json", str(tmp_path / "speed.json")) == 0
    found = json.loads((tmp_path / "speed.json").read_text())
    rows = {row["what"]: row["value"] for row in found["measures"]}
    assert all(value > 0 for value in rows.values())
    assert rows["training (test, 64 px, batch 2, float32)"] > 0
    assert asked == [(64, 2)]
    assert rows["memory of a step, batch 2"] == 8
    assert sum(value for what, value in rows.items() if what.startswith("share")) == pytest.approx(100)
    assert {"plain loop ÷ step", "careless loop ÷ step"} <= set(rows)
    assert [size for size, _ in found["growth"]["rounds"]] == [1, 2, 3]
    assert [size for size, _ in found["growth"]["side"]] == [32]
    assert found["settings"]["model"]["size"] == "test"
    assert "| plain loop ÷ step |" in capsys.readouterr().out


def test_its_own_settings_hold_against_those_of_its_groups():
    cfg = composed("benchmark_train", ["side=96"])
    assert (cfg.model.size, cfg.model.image_size, cfg.data.augmentation.crop_size) == ("small", 96, 96)
    assert (cfg.data.batch_size, cfg.data.resident, cfg.data.train.synthetic.count) == (2, True, 24)


def test_what_is_not_asked_for_is_not_measured(run, tmp_path, capsys):
    off = ("batches=0", "memory_batch=0", "plain=false", "growth_batches=[]", "growth_sides=[]", "precision=bf16")
    assert run(*QUICK, *off, f"json={tmp_path / 'speed.json'}") == 0
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [row["what"] for row in found["measures"]] == ["step alone (test, 64 px, batch 2, bf16)"]
    assert set(found["growth"]) == {"rounds"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("repeats=0",), "repeats must be 1 or more, got 0"),
        (("side=8",), "side must be 32 or more, got 8"),
        (("precision=half",), "precision='half' is unknown; take one of float32, bf16"),
        (("device=cuda",), "torch sees no GPU here"),
    ],
)
def test_wrong_settings_are_told(run, capsys, monkeypatch, words, told):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run(*words) == 1
    assert told in capsys.readouterr().err
