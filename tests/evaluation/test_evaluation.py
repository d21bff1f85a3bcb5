"""Summaries, files and merging of results."""

import errno
import json
import os
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, merge, protocol
from vfm_isrefiner.evaluation.summary import iou_table


def result(index, *ious, source="a", status="ok", **changes):
    clicks = tuple((float(index), float(number), number % 2 == 0) for number in range(len(ious)))
    boundary = tuple(value / 2 for number, value in enumerate(ious, 1) if number in (1, 5, 10, 20))
    plain = InstanceResult(
        index, f"image/{index}", source, "roof", "image", 100, (1, 2, 3, 4), status, tuple(ious), boundary, clicks, 0.4, 0.2
    )
    return replace(plain, **changes)


RULE = replace(protocol("paper"), max_clicks=4)
RESULTS = (
    result(0, 0.5, 0.8, 0.85, 0.95),
    result(1, 0.9, 0.7, 0.7, 0.7),
    result(2, status="empty"),
    result(3, 0.1, 0.2, 0.3, 0.8, source="b", status="full_image"),
    result(4, status="all_ignored", source="b"),
)
WHOLE = Evaluation(RESULTS, RULE, "model 1", "data 1")


def test_summary():
    summary = WHOLE.summary()
    assert summary["protocol"] == RULE.settings()
    assert (summary["model"], summary["data"], summary["target_iou"]) == ("model 1", "data 1", None)
    assert (summary["instances"], summary["full_image"], summary["skipped"]) == (3, 1, {"empty": 1, "all_ignored": 1})
    assert summary["noc"] == pytest.approx({"80": (2 + 1 + 4) / 3, "85": (3 + 1 + 4) / 3, "90": (4 + 1 + 4) / 3, "95": 4})
    assert summary["nof"] == {"80": 1, "85": 1, "90": 2, "95": 3}  # a success at the last click counts
    assert summary["miou"] == pytest.approx({"1": 0.5, "2": 1.7 / 3, "3": 1.85 / 3, "4": 2.45 / 3})
    assert summary["boundary_iou"] == pytest.approx({"1": 0.25})
    assert summary["seconds_per_click"] == pytest.approx({"network": 0.1, "rest": 0.05, "total": 0.15})
    assert set(summary["sources"]) == {"a", "b"}
    assert summary["sources"]["b"]["noc"]["80"] == 4
    assert summary["sources"]["b"]["skipped"] == {"empty": 0, "all_ignored": 1}


def test_summary_of_instances_that_stopped_early():
    stopped = Evaluation((result(0, 0.5, 0.9), result(1, 0.2, 0.3, 0.3, 0.4)), RULE, target_iou=0.9)
    summary = stopped.summary()
    assert summary["noc"] == {"80": 3, "85": 3, "90": 3, "95": None}  # nobody went on to 95
    assert summary["miou"] == {"1": 0.35, "2": 0.6, "3": None, "4": None}
    assert summary["seconds_per_click"]["network"] == pytest.approx(0.8 / 6)


def test_iou_table():
    table = iou_table([result(0, 0.5, 0.9), result(1), result(2, 0.1, 0.2, 0.3)], 3)
    nan = float("nan")
    expected = torch.tensor([[0.5, 0.9, nan], [nan, nan, nan], [0.1, 0.2, 0.3]], dtype=torch.float64)
    torch.testing.assert_close(table, expected, rtol=0, atol=0, equal_nan=True)
    assert iou_table([], 3).shape == (0, 3)


def test_save_and_load(tmp_path):
    folder = WHOLE.save(tmp_path / "new" / "folder")
    assert sorted(path.name for path in folder.iterdir()) == ["instances.parquet", "summary.json"]
    assert Evaluation.load(folder) == WHOLE
    assert json.loads((folder / "summary.json").read_text())["noc"]["95"] == 4
    table = pq.read_table(folder / "instances.parquet").to_pylist()
    assert table[1]["ious"] == [0.9, 0.7, 0.7, 0.7]
    assert table[1]["click_row"] == [1.0] * 4
    assert table[1]["click_positive"] == [True, False, True, False]
    assert table[2]["ious"] == []


def test_saving_again_replaces(tmp_path):
    WHOLE.save(tmp_path)
    fewer = replace(WHOLE, results=RESULTS[:1])
    assert Evaluation.load(fewer.save(tmp_path)) == fewer


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"instances\.parquet .*not written: No space left on device.*free some space"):
        WHOLE.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_load_says_what_is_missing(tmp_path):
    WHOLE.save(tmp_path)
    (tmp_path / "summary.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no evaluation: summary\.json is missing"):
        Evaluation.load(tmp_path)


def test_merge_drops_repeats_and_restores_the_order():
    one = replace(WHOLE, results=RESULTS[0::2])
    other = replace(WHOLE, results=(RESULTS[1], RESULTS[3], replace(RESULTS[0], ious=(0.0,))), data="data 2")
    merged = merge([one, other])
    assert merged.results == RESULTS
    assert merged.data == "data 1+data 2"
    assert merge([WHOLE, WHOLE]) == WHOLE


def test_merge_refuses_what_does_not_belong_together():
    with pytest.raises(ValueError, match="at least one"):
        merge([])
    with pytest.raises(ValueError, match=r"one network by one protocol, got 'paper' of 'model 1' and 'paper' of 'model 2'"):
        merge([WHOLE, replace(WHOLE, model="model 2")])
