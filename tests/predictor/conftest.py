"""A predictor on the network of three lines, an image with one bright box, and a real small network."""

import numpy as np
import pytest
import torch
from loop_parts import Brightness, drawn

from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.zoom import ZoomRule

SMALL = ZoomRule((24, 24), min_crop=10)


@pytest.fixture
def network():
    return Brightness(bias=-1.0)


@pytest.fixture
def predictor(network):
    return Predictor(network, zoom=SMALL)


@pytest.fixture
def image():
    """(48, 64, 3) uint8."""
    return np.ascontiguousarray(drawn(48, 64, 3).image.permute(1, 2, 0).numpy())


@pytest.fixture(scope="session")
def tiny():
    """A network of width 64 that answers to image, clicks and previous mask; its weights are drawn."""
    torch.manual_seed(7)
    return build_isrefiner("test", image_size=64).eval()
