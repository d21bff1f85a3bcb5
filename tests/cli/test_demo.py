"""`isrefiner demo` at its smallest: the shipped networks to a page; with `learn`, before and after a training."""

import json

import pytest
import torch

from vfm_isrefiner.files import sha256
from vfm_isrefiner.models import known_files
from vfm_isrefiner.models.build import build_isrefiner, build_mfp
from vfm_isrefiner.models.checkpoints import save_network

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


@pytest.fixture
def small_weights(tmp_path_factory, monkeypatch):
    """Untrained networks of width 64 under the names of the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    files = [
        save_network(network, folder / f"{name}.safetensors")
        for name, network in (
            ("default_stage1", build_mfp("test", image_size=64, attention="global")),
            ("default_stage2", build_isrefiner("test", image_size=64)),
        )
    ]
    (folder / known_files.SUMS).write_text("".join(f"{sha256(file)}  {file.name}\n" for file in files))
    monkeypatch.setattr(known_files, "FOLDER", folder)


def test_demo_makes_a_page_of_the_shipped_networks(isrefiner, capsys, tmp_path, small_weights):
    words = ("data.augmentation.crop_size=64", "data.test.synthetic.count=2", "limit=2", "input_size=64", "panels=1")
    assert isrefiner("demo", "out=here", *words) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "here" / "report.html") in out
    assert out.count("NoC80") >= 2  # each network's table
    page = (tmp_path / "here" / "report.html").read_text()
    assert all(text in page for text in ("default_stage2", "Where two runs differ most", "data:image/png"))
    assert len(list((tmp_path / "here/default_stage1/panels").glob("*.png"))) == 1


def test_learn_compares_before_and_after(isrefiner, capsys, tmp_path):
    assert isrefiner("demo", "learn", "out=here", *QUICK, "model.image_size=64") == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "here") in out
    folder = tmp_path / "here"
    assert all(f"| {row}" in (folder / "table.md").read_text() for row in ("untrained", "trained"))
    assert set(json.loads((folder / "summary.json").read_text())) == {"untrained", "trained"}
    assert {"curve.png", "network.safetensors"} <= {path.name for path in folder.iterdir()}
    assert all(len(list((folder / when / "panels").glob("*.png"))) == 1 for when in ("untrained", "trained"))


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [(["out="], 2, "out= needs the name of a folder"), (["learn", "modle.size=test"], 1, "modle")],
)
def test_wrong_input_is_told(isrefiner, capsys, words, status, told):
    assert isrefiner("demo", *words) == status
    assert told in capsys.readouterr().err


def test_help_shows_examples(isrefiner, capsys):
    assert isrefiner("demo", "--help") == 0
    assert "isrefiner demo learn out=learned" in capsys.readouterr().out
