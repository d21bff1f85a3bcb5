"""Which instances a gallery shows."""

import pytest

from vfm_isrefiner.evaluation import InstanceResult
from vfm_isrefiner.report.gallery import gallery


def result(number, area, iou, category="ship", status="ok"):
    return InstanceResult(number, str(number), "s", category, "im", area, (0, 0, 1, 1), status, (iou, iou + 0.1))


RESULTS = [
    result(0, 500, 0.7),
    result(1, 1023, 0.1, "plane"),
    result(2, 1024, 0.5),
    result(3, 9216, 0.2, ""),
    result(4, 800, 0.3),
    InstanceResult(5, "5", "s", "ship", "im", 0, (0, 0, 0, 0), "empty"),
]


def ids(groups):
    return {name: [each.index for each in found] for name, found in groups.items()}


def test_the_worst_of_each_size():
    assert ids(gallery(RESULTS, count=2)) == {"small": [1, 4], "medium": [2], "large": [3]}


def test_the_best_of_each_class():
    assert ids(gallery(RESULTS, pick="best", by="class", count=1)) == {"no class": [3], "plane": [1], "ship": [0]}


def test_a_random_draw_follows_its_seed():
    draws = [ids(gallery(RESULTS, pick="random", by="all", count=3, seed=seed))["all"] for seed in (0, 0, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) > 1
    assert all(len(set(draw)) == 3 and set(draw) <= {0, 1, 2, 3, 4} for draw in draws)


@pytest.mark.parametrize("words", [{"pick": "any"}, {"by": "colour"}, {"count": 0}])
def test_other_words_are_refused(words):
    with pytest.raises(ValueError, match="pick is one of worst, random, best"):
        gallery(RESULTS, **words)
