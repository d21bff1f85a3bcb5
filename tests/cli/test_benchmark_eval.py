"""`isrefiner benchmark eval`, on a few small scenes."""

import json

import pytest

from vfm_isrefiner.benchmark.machine import Peaks
from vfm_isrefiner.cli import benchmark_eval

QUICK = (
    "model.size=test",
    "model.image_size=32",
    "input_size=32",
    "data.augmentation.crop_size=64",
    "limit=3",
    "max_clicks=2",
    "batch_size=2",
    "batch_sizes=[1,2]",
    "repeats=1",
    "share_instances=2",
    "growth_instances=[1,2,3,300]",
    "growth_clicks=3",
    "device=cpu",
)


def test_numbers_are_printed_and_saved(isrefiner, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark_eval, "measured_peaks", lambda device, dtype: Peaks(1e13, 1e10))  # seconds of large products
    assert isrefiner("benchmark", "eval", *QUICK, "figures=pictures", "--json", "speed.json") == 0
    assert (tmp_path / "pictures/evaluation_growth.png").is_file()
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["benchmark"] == "eval"
    assert found["settings"]["limit"] == 3
    values = {each["what"]: each["value"] for each in found["measures"]}
    assert values["clicks"] > 0
    assert 0 < values["share of the peak of matrix products"] < 100
    assert values["share of network"] > 0
    assert [number for number, _ in found["growth"]["instances"]] == [1, 2, 3]
    assert [click for click, _ in found["growth"]["click"]] == [1, 2, 3]
    out = capsys.readouterr().out
    assert "| evaluation ÷ network alone |" in out
    assert "3 instances, 6 clicks" in out


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("limit=0", "limit must be 1 or more, got 0"),
        ("protocol=ritm", "images of several sizes"),
        ("precision=int8", "int8"),
        ("sets=nowhere", "there is no set nowhere"),
    ],
)
def test_wrong_input_is_told(isrefiner, capsys, word, told):
    assert isrefiner("benchmark", "eval", *QUICK, word) == 1
    assert told in capsys.readouterr().err
