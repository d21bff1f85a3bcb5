"""From a plan to an image: textured ground, paint in painter's order, then air, optics and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.synthetic.plan import FULL, Colour, Cover, IdMap, Mark, Plan, cover

Field = NDArray[np.float32]

HAZE = np.array([0.66, 0.71, 0.76], np.float32)[:, None, None]


def noise(rng: np.random.Generator, size: tuple[int, int], coarsest: float, finest: float, falloff: float = 0.75) -> Field:
    """Octaves of smooth noise (H, W), mean about 0 and deviation about 1.

    Args:
        coarsest: size of the largest patches in pixels; every octave halves it until `finest`.
        falloff: deviation of an octave over that of the one before.
    """
    height, width = size
    total, power, strength, period = np.zeros(size, np.float32), 0.0, 1.0, coarsest
    while period >= finest:
        grid = rng.standard_normal((int(height / period) + 4, int(width / period) + 4), np.float32)
        if period > 1:
            smooth = cv2.INTER_CUBIC if period < 24 else cv2.INTER_LINEAR
            grid = np.asarray(cv2.resize(grid, None, fx=period, fy=period, interpolation=smooth), np.float32)
        top, left = (int(rng.integers(0, extent - room + 1)) for extent, room in zip(grid.shape, size, strict=True))
        total += strength * grid[top : top + height, left : left + width]
        power += (0.75 * strength) ** 2 if period > 1 else strength**2
        strength, period = strength * falloff, period / 2
    return total / np.float32(np.sqrt(power))


class Painter:
    """The canvas (3, H, W) and the textures that all paint of one scene shares."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.size = plan.size
        extent = min(plan.size)
        self.fine, self.coarse = noise(rng, plan.size, 4, 1, 1.0), noise(rng, plan.size, min(64, extent / 3), 4)
        patches = noise(rng, plan.size, min(256, extent / 1.5), 8, 0.65)
        if plan.ground.flow is not None:
            patches = _streaked(0.6 * patches + 0.8 * self.coarse, plan.ground.flow)
        share = 1 / (1 + np.exp(-2.2 * patches))
        first, second = (_planes(colour) for colour in plan.ground.colours)
        self.canvas = first + share * (second - first)
        self.canvas *= 1 + np.float32(0.7 * plan.ground.contrast) * (self.fine + self.coarse)
        # What lies on the ground must not continue the ground's own texture.
        self.fine, self.coarse = self.fine[::-1, ::-1], self.coarse[::-1, ::-1]

    def paint(self, mark: Mark, covered: Cover) -> None:
        """Put one mark on the canvas."""
        alpha = covered.share * np.float32(mark.opacity / FULL)
        if mark.feather > 0:
            cv2.GaussianBlur(alpha, (0, 0), mark.feather / 2, dst=alpha)
        patch = self.canvas[:, covered.rows, covered.columns]
        if mark.shadow:
            patch *= 1 - alpha * (1 - _planes(mark.colour))
        else:
            change = self._colour(mark, covered) - patch
            change *= alpha
            patch += change

    def _colour(self, mark: Mark, covered: Cover) -> Field:
        """(3, h, w) or (3, 1, 1): the mark's colour with its textures and its rim."""
        colour, window = _planes(mark.colour), (covered.rows, covered.columns)
        if mark.rim is not None:
            edge, width = mark.rim
            inside = cv2.copyMakeBorder((covered.share > FULL // 2).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            depth = np.clip(depth / np.float32(width) + np.float32(0.25) * self.coarse[window], 0, 1)
            colour = _planes(edge) + depth * (colour - _planes(edge))
        tone: Field | float = 1.0
        if mark.contrast:
            tone = tone + np.float32(mark.contrast) * self.fine[window]
        if mark.mottle:
            tone = tone + np.float32(mark.mottle) * self.coarse[window]
        if mark.stripes is not None:
            tone = tone + self._stripes(mark.stripes, covered)
        return colour * tone

    def _stripes(self, stripes: tuple[float, float, float], covered: Cover) -> Field:
        angle, period, strength = stripes
        y = np.arange(covered.rows.start, covered.rows.stop, dtype=np.float32)[:, None]
        x = np.arange(covered.columns.start, covered.columns.stop, dtype=np.float32)[None]
        across = (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period)
        return np.float32(strength) * np.sin(across + np.float32(0.8) * self.coarse[covered.rows, covered.columns])


def _streaked(field: Field, angle: float) -> Field:
    """`field` drawn out along `angle`, as water does."""
    height, width = field.shape
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]]) * [[0.22], [1.0]]
    centre = np.array([width / 2, height / 2])
    matrix = np.concatenate([turn, (centre - turn @ centre)[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn_out = cv2.warpAffine(field, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(drawn_out, np.float32)


def draw(plan: Plan, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int32], dict[int, str]]:
    """The image (3, H, W) uint8 RGB, the id map (H, W) and the category of each id."""
    painter, ids = Painter(plan, rng), IdMap(plan.size)
    for thing in plan.things:
        covered = None if thing.body is None else cover(thing.body.shape, plan.size)
        for mark in thing.paint(rng):
            if thing.body is not None and mark.shape is thing.body.shape:
                window = covered
            else:
                window = cover(mark.shape, plan.size, 1.5 * mark.feather)
            if window is not None:
                painter.paint(mark, window)
        if thing.body is not None and covered is not None:
            ids.add(thing.body, covered)
    return _photographed(painter.canvas, plan, rng), *ids.finish()


def _photographed(canvas: Field, plan: Plan, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Uneven light, haze, colour cast, blur and noise; the tone of a stretched product where the plan is a satellite's."""
    height, width = plan.size
    slope = rng.uniform(-0.16, 0.16, 2).astype(np.float32)
    light = (
        1
        + slope[0] * np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
        + slope[1] * np.linspace(-0.5, 0.5, width, dtype=np.float32)
    )
    gain = rng.uniform(0.85, 1.2) * rng.uniform(0.94, 1.06, 3)
    haze = rng.beta(1.2, 5) * 0.6
    canvas *= light
    canvas *= _planes(gain * (1 - haze))
    canvas += HAZE * np.float32(haze)
    sharpness = float(rng.uniform(0.35, 0.85))
    for plane in canvas:
        cv2.GaussianBlur(plane, (0, 0), sharpness, dst=plane)
    if plan.satellite:
        low, high = np.percentile(canvas[:, ::4, ::4].mean(0), [rng.uniform(0.5, 3), rng.uniform(96, 99.5)])
        black = 0.5 * low
        canvas -= np.float32(black)
        canvas *= np.float32(rng.uniform(0.72, 0.92) / max(high - black, 0.4))
    np.clip(canvas, 0, 1, out=canvas)
    canvas **= np.float32(rng.uniform(0.85, 1.2))
    canvas += np.float32(rng.uniform(0.004, 0.022)) * rng.standard_normal(canvas.shape, np.float32)
    canvas *= 255
    return np.clip(canvas, 0, 255, out=canvas).round().astype(np.uint8)


def _planes(colour: Colour) -> Field:
    """(3, 1, 1), to go with (3, h, w)."""
    return colour.astype(np.float32)[:, None, None]
