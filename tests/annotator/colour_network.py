"""A network that needs no weights: pixels as alike in colour to those under positive clicks, and joined to them, are object."""

import cv2
import numpy as np
import torch

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.zoom import ZoomRule

REACH = 0.09  # largest distance of colours of one object, in units of RGB within [0, 1]


class ColourNetwork:
    """Answers to image and clicks; one image at a time or several."""

    def __init__(self):
        self.training, self.passes = False, 0

    def encode_image(self, image):
        smooth = [cv2.blur(one.permute(1, 2, 0).numpy(), (3, 3)) for one in image]
        return ImageFeatures(image, patches=torch.from_numpy(np.stack(smooth)).flatten(1, 2))

    def __call__(self, features, click_maps, prev_prob, mod_prob):
        self.passes += 1
        height, width = features.image.shape[-2:]
        colours = features.patches.view(-1, height, width, 3).numpy()
        pairs = zip(colours, click_maps.numpy(), prev_prob[:, 0].numpy(), strict=True)
        return torch.from_numpy(np.stack([self.one(*pair) for pair in pairs]))[:, None]

    def one(self, colours, maps, before):
        """(H, W, 3), (2, H, W) and (H, W) -> logits (H, W)."""
        positive, negative = middles(maps[0]), middles(maps[1])
        found = before > 0.5
        for y, x in positive:
            found |= joined(np.linalg.norm(colours - colours[y, x], axis=-1) < REACH, y, x)
        for y, x in negative:
            found &= ~joined(np.linalg.norm(colours - colours[y, x], axis=-1) < REACH, y, x)
        for y, x in positive:
            cv2.circle(view := found.astype(np.uint8), (x, y), 2, 1, -1)
            found = view.astype(bool)
        return np.where(found, 6.0, -6.0).astype(np.float32)


def joined(alike, y, x):
    """The piece of `alike` that (y, x) is in."""
    pieces = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)[1]
    return pieces == pieces[y, x] if alike[y, x] else np.zeros_like(alike)


def middles(disks):
    """(row, column) of the middles of disks of clicks, which may touch and be cut off by the border."""
    inside = cv2.distanceTransform(np.pad((disks > 0).astype(np.uint8), 8, mode="edge"), cv2.DIST_L2, 5)[8:-8, 8:-8]
    peaks = (inside > 4.2) & (inside >= cv2.dilate(inside, np.ones((5, 5))))
    _, _, _, centres = cv2.connectedComponentsWithStats(peaks.astype(np.uint8))
    return [(round(y), round(x)) for x, y in centres[1:]]


def colour_predictor():
    """The whole window is seen at its own size."""
    return Predictor(ColourNetwork(), zoom=ZoomRule(None, skip_clicks=999))
