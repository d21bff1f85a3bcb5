"""Which instances are shown: those with the largest difference, whichever run is better."""

from dataclasses import replace

import pytest

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, protocol
from vfm_isrefiner.report.contrast import contrasts

RULE = replace(protocol("paper"), max_clicks=4)


def evaluation(curves, **settings):
    results = (
        InstanceResult(index, name, "drawn", "box", name, 9, (0, 0, 3, 3), "ok" if curve else "empty", curve)
        for index, (name, curve) in enumerate(curves.items())
    )
    return Evaluation(tuple(results), RULE, **settings)


FIRST = evaluation(
    {
        "b": (0.5, 0.9, 0.9, 0.9),
        "a": (0.5, 0.9, 0.9, 0.9),
        "worse": (0.2, 0.3, 0.4, 0.5),
        "area": (0.5, 0.6, 0.86, 0.86),
        "same": (0.9, 0.9, 0.9, 0.9),
        "first only": (0.9, 0.9, 0.9, 0.9),
        "empty": (),
    }
)
SECOND = evaluation(
    {
        "a": (0.5, 0.6, 0.9, 0.9),
        "b": (0.5, 0.6, 0.9, 0.9),
        "area": (0.1, 0.1, 0.1, 0.87),
        "worse": (0.9, 0.9, 0.9, 0.9),
        "same": (0.9, 0.9, 0.9, 0.9),
        "empty": (),
    }
)


def test_order_is_by_noc_then_by_area_then_by_id():
    found = contrasts(FIRST, SECOND, count=10)
    assert [each.id for each in found] == ["worse", "area", "a", "b", "same"]
    assert [each.noc_difference for each in found] == [-3, 1, 1, 1, 0]
    worst = found[0]
    assert worst.noc == (4, 1)
    assert worst.mean_iou == pytest.approx((0.35, 0.9))
    assert worst.iou_difference == pytest.approx(-0.55)
    assert (worst.source, worst.category, worst.index) == ("drawn", "box", 2)
    assert contrasts(FIRST, SECOND, count=2) == found[:2]


def test_threshold_decides():
    assert contrasts(FIRST, SECOND, threshold=0.5, count=1)[0].id == "worse"
    assert contrasts(FIRST, SECOND, threshold=0.5, count=2)[1].noc == (1, 4)


def test_a_run_that_stopped_early_stays_as_good():
    stopped = replace(evaluation({"same": (0.9,)}), target_iou=0.85)
    found = contrasts(stopped, SECOND)
    assert found[0].mean_iou == pytest.approx((0.9, 0.9))
    assert found[0].noc == (1, 1)


def test_errors():
    with pytest.raises(ValueError, match="count >= 1, got 0"):
        contrasts(FIRST, SECOND, count=0)
    with pytest.raises(ValueError, match="one protocol"):
        contrasts(FIRST, replace(SECOND, protocol=protocol("ritm")))
    with pytest.raises(ValueError, match=r"No instance was evaluated in both runs \(data unknown and xyz\)"):
        contrasts(FIRST, evaluation({"another": (0.5,) * 4}, data="xyz"))
    for first, second in ((FIRST, replace(SECOND, target_iou=0.8)), (replace(FIRST, target_iou=0.8), SECOND)):
        with pytest.raises(ValueError, match=r"stopped at an IoU of 0.8, so NoC at 0.85 is not known"):
            contrasts(first, second)
