"""What keeps two evaluations apart, in words."""

from dataclasses import replace

import pytest
from report.made_runs import RULE, evaluation

from vfm_isrefiner.evaluation import protocol
from vfm_isrefiner.report.comparable import Conditions, distinct, shown


def words(**changes):
    first, second = evaluation([3, 4]), evaluation([5, 6], **changes)
    return Conditions.of(first).differences(Conditions.of(second))


def test_the_same_conditions_whatever_the_scores_and_the_network():
    assert words(model="another") == []
    assert len(distinct([Conditions.of(evaluation([3, 4])), Conditions.of(evaluation([1, 2]))])) == 1


def test_each_field_that_differs_is_named():
    assert words(protocol=replace(RULE, threshold=0.49)) == ["protocol.threshold 0.5 against 0.49"]
    assert words(protocol=RULE.resized((224, 224))) == ["protocol.zoom.target 448 x 448 against 224 x 224"]
    assert words(target_iou=0.9) == ["target_iou none against 0.9"]
    assert words(data="data 2") == ["data fingerprint data 1 against data 2"]
    assert words(data="") == ["data fingerprint data 1 against unknown"]
    assert "protocol.name paper against close" in words(protocol=protocol("close"))
    assert "protocol.zoom none against" not in " ".join(words(protocol=protocol("ritm")))


def test_a_protocol_without_zoom():
    found = words(protocol=replace(RULE, zoom=None))
    assert "protocol.zoom.min_crop 200 against none" in found


def test_other_instances_keep_apart():
    fewer = Conditions.of(evaluation([3]))
    found = Conditions.of(evaluation([3, 4])).differences(fewer)
    assert found == ["instances: 1 on the first side only, 0 on the second only, 1 on both"]


def test_skipped_instances_do_not_count():
    whole = evaluation([3, 4])
    empty = replace(whole.results[1], id="image/9", status="empty", ious=())
    assert Conditions.of(replace(whole, results=(*whole.results, empty))) == Conditions.of(whole)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "none"), (True, "true"), (16.0, "16"), (5e-05, "5e-05"), (30000.0, "30000")),
        *(((448, 448), "448 x 448"), ("gated", "gated"), (1e300, "1e+300")),
    ],
)
def test_shown(value, text):
    assert shown(value) == text
