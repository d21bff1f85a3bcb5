"""Timing in turns, and quotients of timings."""

import pytest

from vfm_isrefiner.benchmark.timing import Timing, interleaved, once, ratio, total


def test_works_take_turns_and_warm_up_does_not_count() -> None:
    calls = []
    taken = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert [len(taken[name].seconds) for name in "ab"] == [2, 2]
    assert all(seconds >= 0 for seconds in taken["a"].seconds)


def test_median_and_quartiles() -> None:
    timing = Timing((4.0, 1.0, 3.0, 2.0, 5.0))
    assert timing.median == 3.0
    assert timing.quartiles == (2.0, 4.0)
    assert Timing((7.0,)).quartiles == (7.0, 7.0)


def test_ratios_and_sums_go_turn_by_turn() -> None:
    assert ratio(Timing((2.0, 9.0)), Timing((1.0, 3.0))).seconds == (2.0, 3.0)
    assert total(Timing((2.0, 9.0)), Timing((1.0, 3.0))).seconds == (3.0, 12.0)


def test_no_repeat_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 2"):
        interleaved({}, repeats=0)


def test_once_calls_once() -> None:
    calls: list[int] = []
    assert once(lambda: calls.append(1)) >= 0
    assert calls == [1]
