"""Seeded synthetic aerial scenes with exact masks.

`plan` says what a scene is: marks in painter's order. The layouts (`town`, `junction`, `harbour`, `country`) make one out of
`buildings` and `things`; `paint` draws it.
"""

from vfm_isrefiner.data.synthetic.scenes import KINDS, SyntheticScenes, draw_scene, draw_scene_ids

__all__ = ["KINDS", "SyntheticScenes", "draw_scene", "draw_scene_ids"]
