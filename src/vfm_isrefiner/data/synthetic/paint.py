"""From a plan to an image: textured ground, paint in painter's order, then air, optics and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.data.synthetic.plan import FULL, Cover, IdMap, Mark, Plan, cover

Field = NDArray[np.float32]

HAZE = np.array([0.66, 0.71, 0.76], np.float32)


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
            grid = cv2.resize(grid, None, fx=period, fy=period, interpolation=cv2.INTER_CUBIC if period < 24 else cv2.INTER_LINEAR)
        top, left = (int(rng.integers(0, extent - room + 1)) for extent, room in zip(grid.shape, size, strict=True))
        total += strength * grid[top : top + height, left : left + width]
        power += (0.75 * strength) ** 2 if period > 1 else strength**2
        strength, period = strength * falloff, period / 2
    return total / np.float32(np.sqrt(power))


class Painter:
    """The canvas (H, W, 3) and the textures that all paint of one scene shares."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.size = plan.size
        extent = min(plan.size)
        self.fine = noise(rng, plan.size, 4, 1, 1.0)
        self.coarse = noise(rng, plan.size, min(64, extent / 3), 4)
        patches = noise(rng, plan.size, min(256, extent / 1.5), 8, 0.65)
        if plan.ground.flow is not None:
            patches = _streaked(0.6 * patches + 0.8 * self.coarse, plan.ground.flow)
        share = cv2.GaussianBlur(1 / (1 + np.exp(-2.2 * patches)), (0, 0), 0.8)[..., None]
        first, second = (colour.astype(np.float32) for colour in plan.ground.colours)
        self.canvas = first + share * (second - first)
        self.canvas *= (1 + plan.ground.contrast * (0.7 * self.fine + 0.7 * self.coarse))[..., None]

    def paint(self, mark: Mark, covered: Cover) -> None:
        """Put one mark on the canvas."""
        alpha = covered.share * np.float32(mark.opacity / FULL)
        if mark.feather > 0:
            alpha = cv2.GaussianBlur(alpha, (0, 0), mark.feather / 2)
        patch = self.canvas[covered.rows, covered.columns]
        if mark.shadow:
            patch *= 1 - alpha[..., None] * (1 - mark.colour.astype(np.float32))
        else:
            patch += alpha[..., None] * (self._colour(mark, covered) - patch)

    def _colour(self, mark: Mark, covered: Cover) -> Field:
        """(h, w, 3) or (1, 1, 3): the mark's colour with its textures and its rim."""
        colour = mark.colour.astype(np.float32)[None, None]
        if mark.rim is not None:
            edge, width = mark.rim
            inside = cv2.copyMakeBorder((covered.share > FULL // 2).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            depth = np.clip(depth / width + 0.25 * self._texture(self.coarse, covered), 0, 1)[..., None]
            edge = edge.astype(np.float32)
            colour = edge + depth * (colour - edge)
        tone: Field | float = 1.0
        if mark.contrast:
            tone = tone + np.float32(mark.contrast) * self._texture(self.fine, covered)
        if mark.mottle:
            tone = tone + np.float32(mark.mottle) * self._texture(self.coarse, covered)
        if mark.stripes is not None:
            tone = tone + self._stripes(mark.stripes, covered)
        return colour * np.asarray(tone, np.float32)[..., None] if not isinstance(tone, float) else colour

    def _texture(self, field: Field, covered: Cover) -> Field:
        """A window of `field`, mirrored so that what lies on the ground does not continue the ground's own texture."""
        return field[::-1, ::-1][covered.rows, covered.columns]

    def _stripes(self, stripes: tuple[float, float, float], covered: Cover) -> Field:
        angle, period, strength = stripes
        y = np.arange(covered.rows.start, covered.rows.stop, dtype=np.float32)[:, None]
        x = np.arange(covered.columns.start, covered.columns.stop, dtype=np.float32)[None]
        across = (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))) * np.float32(2 * np.pi / period)
        return np.float32(strength) * np.sin(across + 0.8 * self._texture(self.coarse, covered))


def _streaked(field: Field, angle: float) -> Field:
    """`field` drawn out along `angle`, as water does."""
    height, width = field.shape
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]]) * [[0.22], [1.0]]
    centre = np.array([width / 2, height / 2])
    matrix = np.concatenate([turn, (centre - turn @ centre)[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(field, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def draw(plan: Plan, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int32], dict[int, str]]:
    """The image (H, W, 3) uint8 RGB, the id map (H, W) and the category of each id."""
    painter, ids = Painter(plan, rng), IdMap(plan.size)
    for mark in plan.marks:
        covered = cover(mark.shape, plan.size, 1.5 * mark.feather)
        if covered is not None:
            painter.paint(mark, covered)
            ids.add(mark, covered)
    return _photographed(painter.canvas, plan, rng), *ids.finish()


def _photographed(canvas: Field, plan: Plan, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Uneven light, haze, colour cast, blur and noise; the tone of a stretched product where the plan is a satellite's."""
    height, width = plan.size
    slope = rng.uniform(-0.16, 0.16, 2).astype(np.float32)
    light = 1 + slope[0] * np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] + slope[1] * np.linspace(-0.5, 0.5, width, dtype=np.float32)
    gain = (rng.uniform(0.85, 1.2) * rng.uniform(0.94, 1.06, 3)).astype(np.float32)
    haze = np.float32(rng.beta(1.2, 5) * 0.6)
    canvas *= light[..., None]
    canvas *= gain * (1 - haze)
    canvas += HAZE * haze
    canvas = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.35, 0.85)))
    if plan.satellite:
        sample = canvas[::4, ::4].mean(-1)
        low, high = np.percentile(sample, [rng.uniform(0.5, 3), rng.uniform(96, 99.5)])
        canvas = (canvas - np.float32(low * 0.85)) / np.float32(max(high - low * 0.85, 0.1)) * np.float32(rng.uniform(0.75, 0.95))
    canvas = np.clip(canvas, 0, 1) ** np.float32(rng.uniform(0.85, 1.2))
    grain = rng.standard_normal(canvas.shape, np.float32)
    canvas += np.float32(rng.uniform(0.004, 0.022)) * grain
    canvas *= 255
    return np.clip(canvas, 0, 255, out=canvas).round().astype(np.uint8)
