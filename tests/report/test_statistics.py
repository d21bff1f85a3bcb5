"""Means over seeds and bootstrap intervals: worked examples, and how often intervals hold the truth."""

import numpy as np
import pytest
from report.made_runs import evaluation

from vfm_isrefiner.report import statistics
from vfm_isrefiner.report.report_table import ALIKE, FEWER, MORE
from vfm_isrefiner.report.statistics import averaged, interval, noc_of, over_seeds, paired


def values(numbers):
    return {("isaid", str(place)): float(number) for place, number in enumerate(numbers)}


def test_noc_of_each_instance():
    measured = evaluation([3, 20, 7], [2, 5, 7])
    assert noc_of(measured, "80") == {("isaid", "image/0"): 2, ("isaid", "image/1"): 5, ("isaid", "image/2"): 7}
    assert list(noc_of(measured, "90").values()) == [3, 20, 7]
    assert list(noc_of(measured, "95").values()) == [3, 20, 7]


def test_noc_is_not_defined_beyond_the_stop_or_without_instances():
    assert noc_of(evaluation([3], target_iou=0.85), "90") is None
    assert noc_of(evaluation([3], target_iou=0.9), "90") == {("isaid", "image/0"): 3}
    assert noc_of(evaluation([]), "90") is None


def test_noc_errors():
    with pytest.raises(ValueError, match="NoC77 is not reported; choose among NoC80, NoC85"):
        noc_of(evaluation([3]), "77")
    twice = evaluation([3, 4])
    with pytest.raises(ValueError, match="1 of 3 instances have the source and id of another one"):
        noc_of(evaluation([3, 4], results=(*twice.results, twice.results[0])), "90")


def test_over_seeds():
    assert over_seeds([2.0, 3.0, 7.0]) == (4.0, pytest.approx(7**0.5))  # (4 + 1 + 9) / 2
    assert over_seeds([2.5]) == (2.5, None)
    with pytest.raises(ValueError, match="got no value"):
        over_seeds([])


def test_averaged():
    assert averaged([values([1, 2]), values([3, 2])]) == values([2, 2])
    with pytest.raises(ValueError, match="1 on the first side only, 0 on the second only, 1 on both"):
        averaged([values([1, 2]), values([1])])
    with pytest.raises(ValueError, match="got no values"):
        averaged([])


def test_a_constant_shift_has_an_interval_without_width():
    base = np.random.default_rng(0).integers(1, 15, 50)
    found = paired(values(base - 0.5), values(base), seeds=2)
    assert (found.mean, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert (found.verdict, found.instances, found.seeds) == (FEWER, 50, 2)
    assert paired(values(base), values(base - 0.5)).verdict == MORE


def test_symmetric_noise_is_not_told_apart():
    base = np.full(60, 8.0)
    noise = np.tile([-2.0, 2.0, -1.0, 1.0], 15)
    found = paired(values(base + noise), values(base))
    assert found.mean == 0
    assert found.low < 0 < found.high
    assert found.verdict == ALIKE


def test_few_instances_tell_nothing_apart():
    assert paired(values([1] * 9), values([5] * 9)).verdict == ALIKE
    assert paired(values([1] * 10), values([5] * 10)).verdict == FEWER


def test_the_pairing_is_by_instance_and_not_by_order():
    first, second = values([1, 5, 9]), values([2, 6, 10])
    assert paired(first, dict(reversed(second.items()))).high == pytest.approx(-1)


def test_pairing_refuses_different_instances():
    with pytest.raises(ValueError, match=r"do not pair, instances: 2 on the first side only, 0 on the second only, 3 on both"):
        paired(values(range(5)), values(range(3)))
    with pytest.raises(ValueError, match="at least one instance"):
        paired({}, {})


def test_interval_is_repeatable_and_near_the_normal_one():
    sample = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(sample)
    assert (low, high) == interval(sample)
    assert (low, high) != interval(sample, seed=1)
    half = 1.96 * sample.std() / 20
    assert (low, high) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.03)


def test_interval_is_the_bootstrap_of_drawn_instances():
    sample = np.random.default_rng(2).integers(1, 21, 40)
    drawn = np.random.default_rng(3).choice(sample, (20_000, 40)).mean(1)
    assert interval(sample) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.1)


def test_interval_does_not_depend_on_the_pieces_it_is_drawn_in(monkeypatch):
    sample = np.random.default_rng(7).integers(1, 21, 31)
    whole = interval(sample, draws=500, seed=11)
    monkeypatch.setattr(statistics, "AT_ONCE", 200)
    statistics._interval.cache_clear()
    assert interval(sample, draws=500, seed=11) == whole


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    generator = np.random.default_rng(4)
    held = 0
    for repeat in range(200):
        low, high = interval(generator.integers(1, 21, 60), draws=800, seed=repeat)
        held += low <= 10.5 <= high
    assert 180 <= held <= 198  # 95 % of 200, within three standard deviations and a little bias


def test_interval_errors():
    with pytest.raises(ValueError, match="at least one value and one draw, got 0 and 10000"):
        interval([])
    with pytest.raises(ValueError, match="got 1 and 0"):
        interval([1.0], draws=0)
