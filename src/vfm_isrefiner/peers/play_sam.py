"""Player of SAM, SAM-HQ and SAM 2: clicks and the previous mask go to the peer's own image predictor.

Run by `bridge.py` in the peer's interpreter: Python 3.8 or newer, NumPy, torch, and `segment_anything`, `segment_anything_hq`
or `sam2`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

LOW = 256  # side of SAM's mask prompt


class Player:
    """Holds one image and, where it is asked for, its mirror image; encodes each once.

    Raises:
        ValueError: an unknown family or model.
    """

    flips = True

    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.family = options, options["family"]
        builders = {"sam": self._sam, "sam_hq": self._sam, "sam2": self._sam2}
        if self.family not in builders:
            raise ValueError(f"family {self.family!r} is none of {', '.join(builders)}")
        self.new_predictor = builders[self.family]()
        self.name = f"{self.family} {options['model']}"
        self.theirs = options["zoom"] == "theirs"

    def _sam(self) -> Any:
        names = ["segment_anything_hq", "segment_anything"] if self.family == "sam_hq" else ["segment_anything"]
        name = next((each for each in names if importlib.util.find_spec(each) is not None), names[-1])
        package = importlib.import_module(name)
        registry = package.sam_model_registry
        if self.options["model"] not in registry:
            raise ValueError(f"model {self.options['model']!r} is none of {', '.join(registry)}")
        network = registry[self.options["model"]](checkpoint=self.options["checkpoint"])
        network.to(device=self.options["device"])
        network.eval()
        if self.family == "sam_hq" and "hq_token_only" not in inspect.signature(package.SamPredictor.predict).parameters:
            raise ValueError(f"{package.__file__} is the original SAM: its predict has no hq_token_only; give SAM-HQ's code")
        return lambda: package.SamPredictor(network)

    def _sam2(self) -> Any:
        from sam2.build_sam import build_sam2
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        network = build_sam2(self.options["model"], self.options["checkpoint"], device=self.options["device"])
        return lambda: SAM2ImagePredictor(network)

    def set_image(self, image: np.ndarray) -> None:
        """RGB (H, W, 3): uint8 of the whole image, or float32 in [0, 1] of a crop."""
        self.image = image if image.dtype == np.uint8 else np.round(255 * image).astype(np.uint8)
        self.views: dict[bool, View] = {}

    def predict(self, clicks: list[tuple[float, float, bool]], prev_prob: np.ndarray | None, flip: bool) -> np.ndarray:
        """(row, column, positive) of all clicks so far -> probability (H, W); `prev_prob` with our zoom only."""
        flip = bool(self.options["flip"]) if self.theirs else flip
        logits = self._logits(clicks, prev_prob, False)
        if flip:
            width = self.image.shape[1]
            clicks = [(y, width - 1 - x, positive) for y, x, positive in clicks]
            prev_prob = None if prev_prob is None else prev_prob[:, ::-1]
            logits = 0.5 * (logits + self._logits(clicks, prev_prob, True)[:, ::-1])
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))

    def _logits(self, clicks: list[tuple[float, float, bool]], prev_prob: np.ndarray | None, mirrored: bool) -> np.ndarray:
        if mirrored not in self.views:
            image = np.ascontiguousarray(self.image[:, ::-1]) if mirrored else self.image
            self.views[mirrored] = View(self.new_predictor(), image, self.options, self.family)
        view = self.views[mirrored]
        if self.theirs:
            return view.follow(clicks)
        square = self.family == "sam2"
        return view.play(clicks, None if prev_prob is None or not prev_prob.any() else low_logits(prev_prob, square))


class View:
    """One encoded image and the clicks that it has seen."""

    def __init__(self, predictor: Any, image: np.ndarray, options: dict[str, Any], family: str) -> None:
        self.predictor, self.options, self.family = predictor, options, family
        predictor.set_image(image)
        self.played, self.logits = 0, np.zeros(image.shape[:2], np.float32)
        self.low: np.ndarray | None = None

    def follow(self, clicks: list[tuple[float, float, bool]]) -> np.ndarray:
        """Play the clicks that are new, each with the mask prompt that the one before left."""
        while self.played < len(clicks):
            self.played += 1
            self.logits = self.play(clicks[: self.played], self.low)
        return self.logits

    def play(self, clicks: list[tuple[float, float, bool]], low: np.ndarray | None) -> np.ndarray:
        """One call of the predictor; of several masks the one that it scores highest."""
        several = {"first": len(clicks) == 1, "always": True, "never": False}[self.options["multimask"]]
        extra = {"hq_token_only": self.options["hq_token_only"]} if self.family == "sam_hq" else {}
        masks, scores, lows = self.predictor.predict(
            point_coords=np.array([[x, y] for y, x, _ in clicks], np.float32),
            point_labels=np.array([int(positive) for _, _, positive in clicks], np.int32),
            mask_input=low if self.options["mask_prompt"] else None,
            multimask_output=several,
            return_logits=True,
            **extra,
        )
        best = int(np.argmax(scores))
        self.low = np.asarray(lows)[best : best + 1]
        return np.asarray(masks)[best].astype(np.float32)


def low_logits(prob: np.ndarray, square: bool) -> np.ndarray:
    """Probability (H, W) -> SAM's mask prompt (1, 256, 256) in logits.

    SAM resizes the longer side to 256 and pads at the bottom and right; SAM 2 (`square`) resizes both sides.
    """
    height, width = prob.shape
    longer = max(height, width)
    size = (LOW, LOW) if square else (int(height * LOW / longer + 0.5), int(width * LOW / longer + 0.5))
    clipped = np.clip(prob.astype(np.float64), 1e-6, 1 - 1e-6)
    logits = np.log(clipped / (1 - clipped))
    for axis, side in enumerate(size):
        at = (np.arange(side) + 0.5) * logits.shape[axis] / side - 0.5
        at = np.clip(at, 0, logits.shape[axis] - 1)
        low = at.astype(int)
        high = np.minimum(low + 1, logits.shape[axis] - 1)
        weight = (at - low)[:, None] if axis == 0 else (at - low)[None]
        logits = logits.take(low, axis) * (1 - weight) + logits.take(high, axis) * weight
    padded = np.zeros((1, LOW, LOW), np.float32)
    padded[0, : size[0], : size[1]] = logits
    return padded
