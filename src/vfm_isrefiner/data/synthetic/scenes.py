"""`SyntheticScenes`: seeded aerial scenes with exact masks; no file is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfm_isrefiner.data.components import regions
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.synthetic.country import farmland, river
from vfm_isrefiner.data.synthetic.harbour import harbour
from vfm_isrefiner.data.synthetic.junction import junction
from vfm_isrefiner.data.synthetic.paint import draw
from vfm_isrefiner.data.synthetic.plan import IGNORE, Plan, draw_ids
from vfm_isrefiner.data.synthetic.town import urban

MIN_SIZE = 32

PLANS: dict[str, Callable[[np.random.Generator, tuple[int, int], float], Plan]] = {
    "urban": urban,
    "harbour": harbour,
    "river": river,
    "farmland": farmland,
    "junction": junction,
}
KINDS = tuple(PLANS)

Ids = NDArray[np.int32]


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int], kind: str, gsd: float = 0.3
) -> tuple[NDArray[np.uint8], Ids, dict[int, str]]:
    """One scene.

    Args:
        size: (height, width), each at least `MIN_SIZE`.
        kind: one of `KINDS`.
        gsd: metres per pixel; what people build has its true size, bounded by the image's.

    Returns:
        The image (3, H, W) uint8 RGB; the id map (H, W): 0 background, 1, 2, … instances, -1 to be ignored (an object that is
        hidden for the most part, or of which less than 12 pixels show); the category of each id.

    Raises:
        ValueError: unknown kind, size or gsd out of range.
    """
    plan, brush = _planned(rng, size, kind, gsd)
    return draw(plan, brush)


def draw_scene_ids(rng: np.random.Generator, size: tuple[int, int], kind: str, gsd: float = 0.3) -> tuple[Ids, dict[int, str]]:
    """The id map and the categories that `draw_scene` gives, without the cost of painting."""
    return draw_ids(_planned(rng, size, kind, gsd)[0])


def _planned(rng: np.random.Generator, size: tuple[int, int], kind: str, gsd: float) -> tuple[Plan, np.random.Generator]:
    """The plan, and a second generator for the paint: paint must not change what comes after it in the plan's stream."""
    if kind not in PLANS:
        raise ValueError(f"There is no synthetic scene of kind {kind!r}; choose from {', '.join(KINDS)}.")
    if min(size) < MIN_SIZE:
        raise ValueError(
            f"A synthetic scene of {size[0]}×{size[1]} pixels (height×width) holds no objects; give at least {MIN_SIZE} a side."
        )
    if not 0.05 <= gsd <= 2:
        raise ValueError(f"Synthetic scenes are drawn at 0.05 to 2 metres per pixel, got gsd={gsd}.")
    planner, brush = rng.spawn(2)
    return PLANS[kind](planner, (int(size[0]), int(size[1])), 1 / gsd), brush


@dataclass(frozen=True)
class Scene:
    """A drawn scene: `image` (3, H, W) uint8, `ids` (H, W) int32."""

    image: Tensor
    ids: Tensor

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + self.ids.nbytes


@final
class SyntheticScenes(InstanceSet):
    """`count` scenes, of each kind in turn. Making the set draws id maps only; images are drawn as they are read.

    Args:
        count: number of scenes; records are made of every one (about 2 ms a scene of 128 × 128).
        size: side, or (height, width), in pixels.
        seed: scene k of one seed, size, gsd and choice of kinds is always the same.
        gsd: metres per pixel.
        kinds: some of `KINDS`, all where None.

    Raises:
        ValueError: count below 1, a negative seed, no kind, an unknown kind, size or gsd out of range.
    """

    def __init__(
        self, count: int, size: int | tuple[int, int] = 512, seed: int = 0, gsd: float = 0.3, kinds: Sequence[str] | None = None
    ) -> None:
        self.kinds = KINDS if kinds is None else tuple(kinds)
        if count < 1 or not self.kinds:
            raise ValueError(f"SyntheticScenes needs at least one scene and one kind, got count={count}, kinds={self.kinds}.")
        if seed < 0:
            raise ValueError(f"SyntheticScenes needs a seed of 0 or more, got {seed}.")
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.seed, self.gsd = seed, gsd
        super().__init__("synthetic", (record for number in range(count) for record in self._records(number)))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return self._scene(record).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self._scene(record).ids[None]
        return ids == record.instance, ids == IGNORE

    def _scene(self, record: InstanceRecord) -> Scene:
        return self.cached(record.image, lambda: self._drawn(int(record.image.removeprefix("scene"))))

    def _drawn(self, number: int) -> Scene:
        image, ids, _ = draw_scene(self._generator(number), self.size, self._kind(number), self.gsd)
        return Scene(torch.from_numpy(image), torch.from_numpy(ids))

    def _kind(self, number: int) -> str:
        return self.kinds[number % len(self.kinds)]

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, *self.size])

    def _records(self, number: int) -> list[InstanceRecord]:
        ids, categories = draw_scene_ids(self._generator(number), self.size, self._kind(number), self.gsd)
        image = f"scene{number:05d}"
        return [
            InstanceRecord(
                image,
                region.id,
                f"{image}/{region.id}",
                categories[region.id],
                region.area,
                region.bbox,
                self.size,
                gsd=self.gsd,
            )
            for region in regions(torch.from_numpy(ids))
        ]
