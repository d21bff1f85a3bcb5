"""Sessions that click at the same time: what is played, and the rows that are told of it."""

from functools import partial

import pytest
import torch
from loop_parts import Brightness

from vfm_isrefiner.benchmark.several_sessions import several
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.zoom import ZoomRule

NUMBERS = {"sessions": 3, "clicks": 2, "image": 24, "repeats": 2, "warm_up": 1}


def test_both_ways_play_all_clicks_of_all_sessions() -> None:
    network, made = Brightness(), []

    def make(**settings):
        made.append(settings)
        return Predictor(network, zoom=ZoomRule((16, 16), min_crop=8), **settings)

    rows = several(make, "here", torch.device("cpu"), **NUMBERS)
    assert made == [{}, {"gather": 3}]
    assert sum(len(prob) for prob, _ in network.passes) == 2 * 3 * 2 * (2 + 1)  # ways, sessions, clicks, turns
    assert [row.what for row in rows] == ["here, 3 sessions taking turns", "here, 3 sessions gathered", "here, gathered"]
    assert [row.unit for row in rows] == ["clicks/s", "clicks/s", "× taking turns"]
    assert all(row.value > 0 for row in rows)


@pytest.mark.parametrize("name", ["sessions", "clicks", "image"])
def test_numbers_are_positive(name) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        several(partial(Predictor, Brightness()), "here", torch.device("cpu"), **{**NUMBERS, name: 0})
