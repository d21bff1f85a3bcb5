"""Results written down as they come: going on, torn lines, other evaluations."""

import json
from dataclasses import replace

import pytest
from loop_parts import Brightness, drawn

from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate
from vfm_isrefiner.evaluation.partial import PARTIAL_FILE, Partial
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomRule

ROUND = Round(Brightness(), modulate_isrefiner)
QUICK = EvaluationProtocol("quick", 0.5, ZoomRule((24, 24), min_crop=10), max_clicks=3)
EMPTY = drawn(seed=9)
ITEMS = [drawn(40, 40, seed) for seed in range(4)] + [
    Instance(EMPTY.image, EMPTY.mask & False, EMPTY.ignore, "none/1", "drawn")
]
EVERYTHING = evaluate(ROUND, ITEMS, QUICK, model="m", data="d")


def begun(folder, count=3):
    with Partial.open(folder, QUICK, "m", "d") as partial:
        for result in EVERYTHING.results[:count]:
            partial.write(result)
    return folder / PARTIAL_FILE


def test_a_stopped_evaluation_goes_on(tmp_path):
    file = begun(tmp_path / "new" / "folder")
    with Partial.open(file.parent, QUICK, "m", "d") as partial:
        assert partial.done == {result.index: result for result in EVERYTHING.results[:3]}
        assert partial.remaining(len(ITEMS)) == [3, 4]
        rest = evaluate(ROUND, ITEMS, QUICK, indices=[3, 4], model="m", data="d", on_result=partial.write)
        whole = partial.joined(rest)
        assert partial.remaining(len(ITEMS)) == []
    untimed = [replace(result, seconds_network=0, seconds_rest=0) for result in whole.results]
    assert untimed == [replace(result, seconds_network=0, seconds_rest=0) for result in EVERYTHING.results]
    assert whole.results[:3] == EVERYTHING.results[:3]  # to the last digit, times included
    with Partial.open(file.parent, QUICK, "m", "d") as partial:
        done = partial.joined(evaluate(ROUND, ITEMS, QUICK, indices=partial.remaining(5), model="m", data="d"))
        partial.remove()
    assert done == whole
    assert not file.exists()


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_was_cut_off_is_dropped(tmp_path, cut):
    file = begun(tmp_path)
    whole = b"".join(file.read_bytes().splitlines(keepends=True)[:3])
    file.write_bytes(file.read_bytes()[:-cut])
    with Partial.open(tmp_path, QUICK, "m", "d") as partial:
        assert partial.remaining(4) == [2, 3]
        assert file.read_bytes() == whole
        partial.write(EVERYTHING.results[2])
    with Partial.open(tmp_path, QUICK, "m", "d") as partial:
        assert partial.remaining(4) == [3]


def test_a_header_that_was_cut_off_begins_anew(tmp_path):
    file = begun(tmp_path, 0)
    header = file.read_bytes()
    file.write_bytes(header[:20])
    with Partial.open(tmp_path, QUICK, "m", "d") as partial:
        assert partial.done == {}
    assert file.read_bytes() == header


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ((replace(QUICK, threshold=0.49), "m", "d"), "3 results of another evaluation .*'threshold': 0.5.* there, .*0.49"),
        ((QUICK, "other", "d"), r"\(model: m there, other now\)\. Delete it to begin anew"),
        ((QUICK, "m", "other"), r"\(data: d there, other now\)"),
        ((QUICK, "m", "d", 0.9), r"\(target_iou: None there, 0.9 now\)"),
    ],
)
def test_results_of_another_evaluation_are_kept(tmp_path, other, message):
    content = begun(tmp_path).read_bytes()
    with pytest.raises(ValueError, match=message):
        Partial.open(tmp_path, *other)
    assert (tmp_path / PARTIAL_FILE).read_bytes() == content


def test_damaged_files(tmp_path):
    file = begun(tmp_path)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2][:30], lines[3], ""]))
    with pytest.raises(ValueError, match=f"{PARTIAL_FILE}: line 3 is no JSON"):
        Partial.open(tmp_path, QUICK, "m", "d")
    file.write_text("\n".join([*lines[:2], json.dumps({"index": 1}), ""]))
    with pytest.raises(ValueError, match="line 3 is no result"):
        Partial.open(tmp_path, QUICK, "m", "d")
    file.write_text("[]\n")
    with pytest.raises(ValueError, match="0 results of another evaluation"):
        Partial.open(tmp_path, QUICK, "m", "d")
