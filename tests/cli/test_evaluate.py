"""`isrefiner evaluate`: any checkpoint in, a table and files out; wrong input told in a line."""

import json
import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from vfm_isrefiner.cli.settings import conf_folder
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.evaluation import PROTOCOLS
from vfm_isrefiner.models.build import build_isrefiner, build_mfp, build_simpleclick
from vfm_isrefiner.models.checkpoints import save_network
from vfm_isrefiner.models.freeze import weights_fingerprint

QUICK = (
    "data=synthetic",
    "data.augmentation.crop_size=64",
    "data.val.synthetic.count=2",
    "limit=2",
    "input_size=64",
    "panels=1",
    "model.size=test",
    "model.image_size=64",
)


def test_untrained_network(isrefiner, capsys):
    assert isrefiner("evaluate", *QUICK) == 0
    out = capsys.readouterr().out
    assert "untrained" in out
    folder = next(Path("outputs").glob("*/*-evaluate"))
    assert str(folder) in out
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"instances.parquet", "summary.json", "table.md", "curve.png", "run.json"} <= names
    assert any(path.suffix == ".png" for path in folder.rglob("panels/*"))


def test_file_of_ours(isrefiner, tmp_path):
    network = build_isrefiner("test", image_size=64)
    save_network(network, tmp_path / "small.safetensors")
    assert isrefiner("evaluate", *QUICK, f"checkpoint={tmp_path}/small.safetensors", "panels=0") == 0
    summary = json.loads(next(Path("outputs").glob("*/*-evaluate/summary.json")).read_text())
    assert summary["protocol"]["name"] == "paper"
    assert summary["model"] == f"small {weights_fingerprint(network)[:16]}"  # the weights that came out of the file
    assert len(summary["data"]) == 16


def test_bf16_is_named_beside_the_weights(isrefiner, tmp_path):
    network = build_isrefiner("test", image_size=64)
    save_network(network, tmp_path / "small.safetensors")
    assert isrefiner("evaluate", *QUICK, f"checkpoint={tmp_path}/small.safetensors", "panels=0", "precision=bf16") == 0
    summary = json.loads(next(Path("outputs").glob("*/*-evaluate/summary.json")).read_text())
    assert summary["model"] == f"small {weights_fingerprint(network)[:16]} bf16"


@pytest.mark.parametrize(
    ("build", "words", "played"),
    [
        (build_isrefiner, [], "isrefiner"),
        (build_mfp, [], "mfp"),
        (build_mfp, ["modulation=isrefiner"], "isrefiner"),
        (build_simpleclick, [], "none"),
    ],
)
def test_the_modulation_is_the_networks_own_unless_told(isrefiner, tmp_path, build, words, played):
    save_network(build("test", image_size=64), tmp_path / "small.safetensors")
    assert isrefiner("evaluate", *QUICK, f"checkpoint={tmp_path}/small.safetensors", "panels=0", *words) == 0
    folder = next(Path("outputs").glob("*/*-evaluate"))
    assert json.loads((folder / "run.json").read_text())["settings"]["modulation"] == played
    assert OmegaConf.load(folder / "config.yaml").modulation._target_.endswith(f".modulate_{played}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["precision=fp8"], "precision is float32 or bf16, got 'fp8'"),
        (["checkpoint=none.ckpt"], "There is no checkpoint none.ckpt"),
        (["checkpoint=none.pth"], "none.pth"),
        (["protocol=cvpr"], "no evaluation protocol 'cvpr'; choose one of paper"),
        (["split=holdout"], "holdout"),
        (["data=nope"], "Could not find 'data/nope'"),
        (["limit=0"], "limit=0"),
        (["sets=isaid"], "there is no set isaid; choose among synthetic"),
    ],
)
def test_wrong_input_ends_with_a_line_and_status_1(isrefiner, capsys, words, told):
    assert isrefiner("evaluate", *QUICK, *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_help_shows_examples(isrefiner, capsys):
    assert isrefiner("evaluate", "--help") == 0
    out = capsys.readouterr().out
    assert "isrefiner evaluate checkpoint=" in out
    for group in ("data", "model", "modulation"):
        assert f"{group}: {', '.join(sorted(path.stem for path in (conf_folder() / group).glob('*.yaml')))}" in out
    assert set(re.search(r"protocol=(\S+)", out)[1].split("|")) == set(PROTOCOLS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the message misses")
def test_missing_gpu_is_told():
    assert chosen_device("auto").type == "cpu"
    with pytest.raises(ValueError, match=r"device=cuda: torch sees no GPU here"):
        chosen_device("cuda")
