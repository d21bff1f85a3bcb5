"""Seeded synthetic aerial scenes: a plan of marks in painter's order (`plan`), its layouts (`town`, `junction`, `harbour`, `country`), its paint (`paint`)."""

from vfm_isrefiner.data.synthetic.scenes import KINDS, SyntheticScenes, draw_scene, draw_scene_ids

__all__ = ["KINDS", "SyntheticScenes", "draw_scene", "draw_scene_ids"]
