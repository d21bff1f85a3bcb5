"""`Predictor`: a trained network behind SAM's calls (`set_image`, `predict`), and the maker of sessions."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.models.checkpoints import load_any
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.predictor.feature_cache import CachedRound, FeatureCache
from vfm_isrefiner.predictor.network_settings import device_of, gathered, settings_of
from vfm_isrefiner.predictor.picture import ImageLike, picture_of
from vfm_isrefiner.predictor.prediction import Click, Reading, check_inside
from vfm_isrefiner.predictor.prompts import checked_mask_input, clicks_from, common, low_logits, prob_from, to_logits
from vfm_isrefiner.predictor.scores import Knots
from vfm_isrefiner.predictor.session import Session
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.zoom import ZoomIn, ZoomRule

FloatArray = NDArray[np.float32]
Output = tuple[NDArray[Any], FloatArray, FloatArray]


@dataclass(frozen=True)
class _Said:
    """What `predict` remembers of its calls on one image.

    begun: the mask_input that the session's object started from. logits, prob: what the last call returned, and its full map.
    """

    session: Session
    begun: FloatArray | None = None
    logits: FloatArray | None = None
    prob: FloatArray | None = None


@final
class Predictor:
    """One network for a script (`set_image`, `predict`) and for any number of sessions (`session`), which share its features.

    Args:
        network: of models/, in eval mode.
        modulation: (prob, clicks) -> M_mod; None: MFP's for a network of that kind, else the paper's.
        zoom: which crops the network sees; None: the paper's, at the input size that the network was built for.
        threshold: a pixel whose probability is above it is object.
        flip: average with the mirrored image; twice the time.
        first_click_passes: see `Round`; None: 2 for a network of the released kind, else 1.
        calibration: knots of `scores.fit_calibration`; None: those of the network's config, if any.
        cache_bytes: memory for encoded images and crops, of all sessions together.
        gather: of how many sessions one forward may take clicks that come at nearly the same time (`GatheredRound`); 0: the
            sessions take turns. For a GPU, which one click does not fill; on a CPU it gains little.
        waiting: with `gather`, how many clicks may wait before `NetworkBusy` is raised.
        device: where the network is; None: where its parameters are.

    Raises:
        ValueError: the network is in training mode, a setting is out of range, or the network cannot `gather`.
    """

    def __init__(
        self,
        network: Network,
        *,
        modulation: Modulation | None = None,
        zoom: ZoomRule | None = None,
        threshold: float = 0.5,
        flip: bool = False,
        first_click_passes: int | None = None,
        calibration: Knots | None = None,
        cache_bytes: int = 2**29,
        gather: int = 0,
        waiting: int = 64,
        device: torch.device | str | None = None,
    ) -> None:
        if network.training:
            raise ValueError("Predictor got a network in training mode; call network.eval().")
        own = settings_of(getattr(network, "config", {}))
        passes = own["first_click_passes"] if first_click_passes is None else first_click_passes
        round = Round(network, modulation or own["modulation"], first_click_passes=passes, flip=flip)
        self.cache = FeatureCache(cache_bytes)
        self.device = device_of(network) if device is None else torch.device(device)
        self._gathered = gathered(round, gather, waiting) if gather else None
        shared = CachedRound(self._gathered, self.cache, nullcontext()) if self._gathered else CachedRound(round, self.cache)
        self._segmenter = ZoomIn(shared, own["zoom"] if zoom is None else zoom)
        self._reading = Reading(threshold, own["calibration"] if calibration is None else calibration)
        self._lock = RLock()
        self._said: _Said | None = None

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path = "default",
        *,
        device: torch.device | str = "auto",
        precision: str = "float32",
        compiled: bool = False,
        backbone_checkpoint: str | Path | None = None,
        released: bool = False,
        **settings: Any,
    ) -> Predictor:
        """The predictor of a file: ours, a published one, or the shipped weights (`models.checkpoints.load_any`).

        Args:
            device: "auto" is the GPU where torch sees one, else the CPU.
            precision, compiled: see `models.inference.for_inference`.
            backbone_checkpoint, released: see `load_any`.
            settings: those of `Predictor`.

        Raises:
            CheckpointError: the file does not fit. ValueError: a setting is out of range, or there is no such device.
        """
        chosen = chosen_device(device)
        network = load_any(path, backbone_checkpoint=backbone_checkpoint, released=released).to(chosen).eval()
        runner = cast(Network, network)
        if precision != "float32" or compiled:
            from vfm_isrefiner.models.inference import for_inference  # here, because the plain path needs none of it

            runner = cast(Network, for_inference(network, precision=precision, compiled=compiled))
        return cls(runner, **{**settings_of(network.config), **settings, "device": chosen})

    @property
    def mask_threshold(self) -> float:
        """The logit above which a pixel is object."""
        return float(np.log(self._reading.threshold / (1 - self._reading.threshold)))

    def session(self, image: ImageLike, image_format: str = "RGB") -> Session:
        """An interactive session on an image of its own.

        Args:
            image: array (H, W, 3) uint8, PIL image, or window of a raster (`geo.windows.RasterWindows.read`).
            image_format: "RGB", or "BGR" for an array in OpenCV's order.

        Raises:
            TypeError, ValueError: the image is of another kind, shape or type.
        """
        return Session(self._segmenter, picture_of(image, image_format, self.device), self._reading)

    def set_image(self, image: ImageLike, image_format: str = "RGB") -> None:
        """The image of the `predict` calls to come; arguments as in `session`."""
        session = self.session(image, image_format)
        with self._lock:
            self._said = _Said(session)

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> Output:
        """One object of the image, by SAM's conventions.

        The points are clicks, played one after the other, each on the mask that the one before left. Where the points begin as
        those of the last call did (SAM's usual loop appends one), only the others are played; the result is the same as that of
        all of them. A `mask_input` that the last call returned stands for its full mask: points that continue those of
        that call go on from there, others are played on that mask.

        Args:
            point_coords: (N, 2) x, y in pixels of the image, N >= 1; with `normalize_coords` False, fractions of its width
                and height.
            point_labels: (N,) 1 on the object, 0 off it.
            box: not understood by a network of clicks; must be None.
            mask_input: (1, 256, 256) logits of an earlier call, to start from.
            multimask_output: taken and not used; there is one mask, C = 1.
            return_logits: masks are float32 logits of the probability instead of bool.

        Returns:
            masks (C, H, W) bool; scores (C,), estimates of their IoU; logits (C, 256, 256) for the next call's `mask_input`.

        Raises:
            RuntimeError: no image is set.
            ValueError: a box, no points, or arguments of another shape or range.
        """
        with self._lock:
            said = self._said
            if said is None:
                raise RuntimeError("There is no image yet; call set_image(image) before predict.")
            session = said.session
            points = clicks_from(point_coords, point_labels, box, (1, 1) if normalize_coords else session.size)
            for point in points:
                check_inside(point, session.size)
            begun = self._at_start(said, None if mask_input is None else checked_mask_input(mask_input), points)
            self._said = _Said(session, begun)  # should the network fail, nothing else is remembered
            played = common(session.clicks, points)
            if played < len(session.clicks):
                session.keep(played)
            prediction = session.play(points[played:])
            prob = torch.tensor(prediction.prob)[None, None]
            logits = low_logits(prob)
            self._said = _Said(session, begun, logits, prediction.prob)
            masks = to_logits(prob)[0].numpy() if return_logits else prediction.mask[None]
            return masks, np.array([prediction.score], np.float32), logits.copy()

    def reset_predictor(self) -> None:
        """Forget the image."""
        with self._lock:
            self._said = None

    reset_image = reset_predictor  # the first is SAM's name, the second SAM 2's

    def close(self) -> None:
        """With `gather`: finish what waits and end the thread that plays it; it also ends when nobody holds the predictor."""
        if self._gathered is not None:
            self._gathered.close()

    def _at_start(self, said: _Said, mask_input: FloatArray | None, points: list[Click]) -> FloatArray | None:
        """Leave the session as it is where `points` on `mask_input` may go on from it, else begin there.

        Returns what the session's object has begun from.
        """
        played = list(said.session.clicks)
        if said.logits is not None and _same(mask_input, said.logits):
            if points[: len(played)] == played:
                return said.begun
            start = said.prob
        elif _same(mask_input, said.begun):
            return said.begun
        else:
            start = None if mask_input is None else prob_from(mask_input, said.session.size)
        if start is not None and start.any():
            said.session.start_from(start)
        else:
            said.session.reset()
        return mask_input


def _same(one: FloatArray | None, other: FloatArray | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
