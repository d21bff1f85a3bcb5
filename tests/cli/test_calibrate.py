"""`isrefiner calibrate`: a table is made, kept in the file, used by the predictor, and checked."""

import math

import numpy as np
import torch

from vfm_isrefiner.cli.calibrate import across_halves
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.checkpoints import load_network, save_network
from vfm_isrefiner.predictor import Predictor

WORDS = ("checkpoint=network.safetensors", "clicks=2", "data.val.synthetic.count=4", "limit=6")


def network(folder):
    torch.manual_seed(0)
    return save_network(build_isrefiner("test", image_size=64).eval(), folder / "network.safetensors")


def told(capsys):
    words = capsys.readouterr().out.splitlines()[0].replace(",", "").split()
    return {name: float(value) for name, value in zip(words[6::2], words[7::2], strict=True)}


def test_a_table_is_fitted_and_used(isrefiner, capsys, tmp_path):
    network(tmp_path)
    assert isrefiner("calibrate", *WORDS) == 0
    before = told(capsys)
    assert before["raw"] == before["calibrated"]
    assert before["raw"] > 0.1  # an untrained network
    assert isrefiner("calibrate", *WORDS, "out=calibrated.safetensors", "half=true", "input_size=96") == 0
    fitted = told(capsys)
    assert fitted["raw"] != before["raw"]  # of an input of another size
    config = load_network(tmp_path / "calibrated.safetensors").config
    assert config["input_size"] == 96
    table = config["score_calibration"]
    assert all(0 <= value <= 1 for knot in table for value in knot)
    assert isrefiner("calibrate", *WORDS[1:], "checkpoint=calibrated.safetensors") == 0
    assert told(capsys)["calibrated"] < fitted["raw"] / 2
    session = Predictor.from_checkpoint(tmp_path / "calibrated.safetensors").session(np.zeros((64, 64, 3), np.uint8))
    assert session.click(20, 20).score <= max(iou for _, iou in table)


def test_half_of_the_objects_tests_the_other():
    raw = [np.array([0.2, 0.8]), np.array([0.2, 0.8])] * 8
    assert across_halves([(each, each / 2) for each in raw]) < 1e-9
    uneven = [(each, each / 2 if number % 2 else each) for number, each in enumerate(raw)]
    assert math.isclose(across_halves(uneven), 0.25)
    assert math.isnan(across_halves([(raw[0], raw[0])]))


def test_wrong_words(isrefiner, capsys, tmp_path):
    network(tmp_path)
    assert isrefiner("calibrate", *WORDS, "out=network.safetensors") == 1
    assert "a new file that ends in .safetensors was expected" in capsys.readouterr().err
    assert isrefiner("calibrate", *WORDS[1:], "checkpoint=network.safetensors", "clicks=0") == 1
    assert "clicks=0: at least 1 was expected" in capsys.readouterr().err
    assert isrefiner("calibrate", "clicks=many") == 2
