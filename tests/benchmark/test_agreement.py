"""Plain and fast ways beside each other: agreement is found, and so is a difference."""

import pytest
import torch
from moved_weights import moved
from torch import Tensor

from vfm_isrefiner.benchmark.agreement import Contest, Step, both, evaluation_measures, step_measures, steps
from vfm_isrefiner.data.synthetic import SyntheticScenes
from vfm_isrefiner.evaluation import protocol
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.modulation import modulate_isrefiner

CPU = torch.device("cpu")


class Off:
    """The network with logits of the other sign."""

    training = False

    def __init__(self, network):
        self.network = network

    def encode_image(self, image: Tensor) -> ImageFeatures:
        return self.network.encode_image(image)

    def __call__(self, *arguments: Tensor) -> Tensor:
        return -self.network(*arguments)


@pytest.fixture(scope="module")
def scenes():
    return SyntheticScenes(count=2, size=64, seed=1).where(limit=3)


@pytest.fixture
def contest():
    torch.manual_seed(0)
    network = moved(build_isrefiner("test", image_size=32)).eval()
    from dataclasses import replace

    rule = replace(protocol("close").resized((32, 32)), max_clicks=3)
    return Contest(network, network, modulate_isrefiner, rule, batch_size=2)


def test_the_fast_forms_agree(contest, scenes) -> None:
    found = list(steps(contest, scenes, CPU))
    assert len(found) == 3 * 3
    rows = {row.what: row for row in step_measures(found, exact=True)}
    assert rows["largest difference of a probability"].met is True
    assert rows["rounds whose next click differs"].value == 0
    rows = {row.what: row for row in evaluation_measures(*both(contest, scenes, CPU))}
    assert rows["instances"].value == 3
    assert rows["instances with another click"].value == 0
    assert rows["NoC90 moved by"].met is True


def test_another_way_is_found_out(contest, scenes) -> None:
    from dataclasses import replace

    other = replace(contest, fast=Off(contest.plain))
    rows = {row.what: row for row in step_measures(list(steps(other, scenes, CPU)), exact=True)}
    assert rows["largest difference of a probability"].met is False
    rows = {row.what: row for row in evaluation_measures(*both(other, scenes, CPU))}
    assert rows["instances with another click"].value > 0


def test_no_round_is_told() -> None:
    with pytest.raises(ValueError, match="None of the instances can be clicked on"):
        step_measures([], exact=True)


def test_what_is_not_exact_has_no_target() -> None:
    rows = step_measures([Step(0.02, True), Step(0.01, False)], exact=False)
    assert [row.value for row in rows] == [2, 0.02, 1]
    assert all(row.target is None for row in rows)
