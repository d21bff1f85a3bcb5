"""Player of the isegm family (RITM, FocalClick, SimpleClick, MFP ...): clicks go to the peer's own predictor.

Run by `bridge.py` in the peer's interpreter: Python 3.8 or newer, NumPy, torch, and the checkout's `isegm`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Player:
    """Holds one image. With `options["zoom"]` "theirs" the predictor zooms and remembers; with "ours" every call stands alone.

    Raises:
        ValueError: a setting that this checkout's functions do not take.
    """

    flips = True

    def __init__(self, options: dict[str, Any]) -> None:
        import torch
        from isegm.inference import clicker, utils
        from isegm.inference.predictors import get_predictor

        self.torch, self.clicker, self.get_predictor, self.options = torch, clicker, get_predictor, options
        self.device = torch.device(options["device"])
        self.transformer = "eval_ritm" in inspect.signature(utils.load_is_model).parameters  # SimpleClick and its heirs
        load = {"eval_ritm": False} if self.transformer else {}
        load.update(options["load"])
        self.model = utils.load_is_model(options["checkpoint"], self.device, **load)
        for network in networks(self.model):
            network.eval()  # MST's loader leaves it in training mode
        self.name = f"isegm {options['mode']}"
        self.theirs = options["zoom"] == "theirs"
        self.positions = Positions(self.model, self.device) if self.transformer else None
        self.predictors: dict[Any, Any] = {}
        if self.theirs:
            self._predictor(options["flip"])  # wrong settings are told at the start

    def set_image(self, image: np.ndarray) -> None:
        """RGB (H, W, 3): uint8 of the whole image, or float32 in [0, 1] of a crop."""
        self.image = image[..., ::-1].copy() if self.options["bgr"] else image
        self.played, self.prob = 0, np.zeros(image.shape[:2], np.float32)
        if self.theirs:
            self.clicks = self.clicker.Clicker()
            self._predictor(self.options["flip"]).set_input_image(self.image)

    def predict(self, clicks: list[tuple[float, float, bool]], prev_prob: np.ndarray | None, flip: bool) -> np.ndarray:
        """(row, column, positive) of all clicks so far -> probability (H, W); `prev_prob` and `flip` with our zoom only."""
        with self.torch.no_grad():
            if not self.theirs:
                return self._alone(clicks, prev_prob, flip)
            predictor = self._predictor(self.options["flip"])
            for y, x, positive in clicks[self.played :]:
                self.clicks.add_click(self.clicker.Click(is_positive=positive, coords=(round(y), round(x))))
                self.prob = np.asarray(predictor.get_prediction(self.clicks))
            self.played = len(clicks)
            return self.prob

    def _alone(self, clicks: list[tuple[float, float, bool]], prev_prob: np.ndarray | None, flip: bool) -> np.ndarray:
        """One call of the network on the image at hand: what the predictor remembers is replaced by `prev_prob`."""
        predictor = self._predictor(flip)
        if self.positions is not None:
            self.positions.fit(self.image.shape[:2])
        predictor.set_input_image(self.image)
        predictor.prev_prediction = self.torch.from_numpy(prev_prob)[None, None].to(self.device)
        made = self.clicker.Clicker()
        for y, x, positive in clicks:
            made.add_click(self.clicker.Click(is_positive=positive, coords=self._at(y, x)))
        return np.asarray(predictor.get_prediction(made))

    def _at(self, y: float, x: float) -> tuple[float, float]:
        """FocalClick looks the pixel of a click up in its maps, so there it must be one."""
        if self.options["mode"] != "FocalClick":
            return y, x
        height, width = self.image.shape[:2]
        return min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)

    def _predictor(self, flip: bool | None) -> Any:
        """The predictor that flips or not (None: as it does by itself), made once."""
        if flip not in self.predictors:
            zoom = self._zoom_in() if self.theirs else None
            if zoom is not None and self.positions is not None:
                self.positions.fit(zoom["target_size"])
            settings: dict[str, Any] = {"zoom_in_params": zoom}
            if flip is not None:
                settings["with_flip"] = flip
            settings.update(self.options["predictor"])
            check(self.get_predictor, settings)
            self.predictors[flip] = self.get_predictor(self.model, self.options["mode"], self.device, **settings)
        return self.predictors[flip]

    def _zoom_in(self) -> dict[str, Any]:
        """Settings of the peer's ZoomIn: given ones over those of its own evaluation script."""
        zoom = {"skip_clicks": -1, "target_size": (448, 448)} if self.transformer else {"target_size": 400}
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in self.options["zoom_in"].items()}
        return {**zoom, **given}


class Positions:
    """Position embedding of a plain ViT at the size of the network's input, always resized from the trained one."""

    def __init__(self, model: Any, device: Any) -> None:
        backbone: Any = getattr(model, "backbone", None)
        self.backbone, self.device, self.size = backbone, device, None
        if hasattr(backbone, "pos_embed"):
            patches = {name: getattr(backbone.patch_embed, name) for name in ("grid_size", "img_size")}
            self.trained = backbone.pos_embed, patches

    def fit(self, size: Any) -> None:
        """Resize to an input of `size` (height, width)."""
        size = (size, size) if isinstance(size, int) else tuple(size)
        if size == self.size or not hasattr(self.backbone, "pos_embed"):
            return
        from isegm.model.modeling.pos_embed import interpolate_pos_embed_inference

        self.backbone.pos_embed, patches = self.trained
        for name, value in patches.items():
            setattr(self.backbone.patch_embed, name, value)
        interpolate_pos_embed_inference(self.backbone, size, self.device)
        if hasattr(self.backbone, "img_size"):  # MST's windows follow it
            self.backbone.img_size = size
        self.size = size


def networks(model: Any) -> list[Any]:
    """Those of a checkpoint: one, or one for each of the first clicks."""
    return [each for part in model for each in networks(part)] if isinstance(model, (list, tuple)) else [model]


def check(function: Callable[..., Any], settings: dict[str, Any]) -> None:
    """Raises ValueError: `function` does not take one of `settings`."""
    known = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ValueError(f"{function.__name__} of this checkout takes no {', '.join(unknown)}; it takes {', '.join(known)}")
