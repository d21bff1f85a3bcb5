"""`isrefiner demo` at its smallest: before, training, after, and everything in one folder."""

import json

import pytest

SMALL = ("data.augmentation.crop_size=64", "data.train.synthetic.count=4", "data.test.synthetic.count=2")
QUICK = (
    *SMALL,
    "data.samples_per_epoch=8",
    "data.batch_size=4",
    "trainer.max_epochs=1",
    "test_limit=2",
    "test_panels=1",
    "input_size=64",
)


def test_demo_compares_before_and_after(isrefiner, capsys, tmp_path):
    assert isrefiner("demo", "out=here", *QUICK, "model.image_size=64") == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "here") in out
    folder = tmp_path / "here"
    assert all(f"| {row}" in (folder / "table.md").read_text() for row in ("untrained", "trained"))
    assert set(json.loads((folder / "summary.json").read_text())) == {"untrained", "trained"}
    assert {"curve.png", "network.safetensors"} <= {path.name for path in folder.iterdir()}
    assert all(len(list((folder / when / "panels").glob("*.png"))) == 1 for when in ("untrained", "trained"))


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [(["out="], 2, "out= needs the name of a folder"), (["modle.size=test"], 1, "modle")],
)
def test_wrong_input_is_told(isrefiner, capsys, words, status, told):
    assert isrefiner("demo", *words) == status
    assert told in capsys.readouterr().err


def test_help_shows_examples(isrefiner, capsys):
    assert isrefiner("demo", "--help") == 0
    assert "isrefiner demo out=demo" in capsys.readouterr().out
