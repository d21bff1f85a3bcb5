"""A network of three lines that counts its calls, and drawn instances: the small parts of the tests of the loop."""

import torch

from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import ImageFeatures


class Brightness:
    """Bright pixels are object; click disks, M_prev and M_mod are added. Each pixel sees itself alone."""

    def __init__(self, bias=0.0):
        self.bias, self.training = bias, False
        self.encoded, self.passes = [], []

    def encode_image(self, image):
        assert image.is_floating_point()
        self.encoded.append(len(image))
        return ImageFeatures(image, patches=image.flatten(2).transpose(1, 2))

    def __call__(self, features, click_maps, prev_prob, mod_prob):
        self.passes.append((prev_prob.clone(), mod_prob.clone()))
        gray = features.image.mean(1, keepdim=True)
        return 8 * (gray - 0.5) + 6 * (click_maps[:, :1] - click_maps[:, 1:]) + prev_prob + mod_prob + self.bias


def add_click(prob, clicks):
    """A modulation that is easy to recognise: 0.25 more everywhere."""
    return prob + 0.25


def drawn(height=48, width=64, seed=0, source="drawn", ignored=False):
    """A bright box on noise, with a few dark holes in it: needs clicks of both signs."""
    generator = torch.Generator().manual_seed(seed)

    def number(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    top, left = number(2, height // 2), number(2, width // 2)
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[:, top : top + number(8, height // 2), left : left + number(8, width // 2)] = True
    image = torch.randint(0, 140, (3, height, width), generator=generator, dtype=torch.uint8)
    image = torch.where(mask, image + 60, image)
    ignore = torch.zeros_like(mask)
    if ignored:
        ignore[:, :4] = True
    return Instance(image, mask & ~ignore, ignore, f"image{seed}/1", source, "box")
