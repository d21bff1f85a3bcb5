"""The table of summaries, and finding them in a folder."""

import json
from dataclasses import replace

import pytest

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, protocol
from vfm_isrefiner.report.tables import collect, markdown_table

RULE = replace(protocol("paper"), max_clicks=5)


def evaluation(*curves, source="roofs"):
    results = (
        InstanceResult(
            number, f"a/{number}", source, "", "a", 9, (0, 0, 3, 3), "ok", curve, (), ((1.0, 1.0, True),) * 5, 0.05, 0.01
        )
        for number, curve in enumerate(curves)
    )
    return Evaluation(tuple(results), RULE)


FIRST = evaluation((0.5, 0.8, 0.86, 0.91, 0.96), (0.7, 0.7, 0.7, 0.7, 0.7))
SECOND = evaluation((0.9, 0.91, 0.91, 0.91, 0.99), source="ships")


def test_table():
    table = markdown_table({"untrained": FIRST.summary(), "trained": SECOND.summary()})
    assert table.splitlines() == [
        "|           | instances | NoC80 | NoC85 | NoC90 | NoC95 | NoF90 | mIoU@1 | mIoU@5 | s/click |",
        "| --------- | --------: | ----: | ----: | ----: | ----: | ----: | -----: | -----: | ------: |",
        "| untrained |         2 |  3.50 |  4.00 |  4.50 |  5.00 |     1 |  60.00 |  83.00 |   0.012 |",
        "| trained   |         1 |  1.00 |  1.00 |  1.00 |  5.00 |     0 |  90.00 |  99.00 |   0.012 |",
    ]


def test_scores_that_are_not_defined():
    stopped = replace(FIRST, target_iou=0.9, results=FIRST.results[:1])
    nothing = replace(FIRST, results=())
    table = markdown_table({"stopped": stopped.summary(), "nothing": nothing.summary()}).splitlines()
    assert "NoC95" not in table[0]
    assert table[3].split("|")[2:5] == ["         0 ", "     – ", "     – "]


def test_rows_by_source():
    both = replace(FIRST, results=FIRST.results + SECOND.results)
    table = markdown_table({"all": both.summary()}, by_source=True)
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["all", "all · roofs", "all · ships"]
    assert len(markdown_table({"one": FIRST.summary()}, by_source=True).splitlines()) == 3


def test_collect(tmp_path):
    FIRST.save(tmp_path / "runs" / "1")
    SECOND.save(tmp_path / "runs" / "0")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "summary.json").write_text('{"another": "program"}')
    found = collect(tmp_path)
    assert list(found) == ["runs/0", "runs/1"]
    assert found["runs/1"] == json.loads(json.dumps(FIRST.summary()))
    assert collect(tmp_path / "other") == {}


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="got no summary"):
        markdown_table({})
    with pytest.raises(FileNotFoundError, match="give one that holds evaluations"):
        collect(tmp_path / "missing")
    (tmp_path / "summary.json").write_text("{half")
    with pytest.raises(ValueError, match=r"summary\.json is no JSON"):
        collect(tmp_path)
