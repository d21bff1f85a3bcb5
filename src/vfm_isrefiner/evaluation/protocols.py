"""Evaluation protocols by name: how the published numbers were measured, which differ in more than the network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from vfm_isrefiner.rollout import RoundLike, Segmenter, WholeImage
from vfm_isrefiner.zoom import Size, ZoomIn, ZoomRule


@dataclass(frozen=True)
class EvaluationProtocol:
    """What decides a NoC number besides the network and the data.

    Attributes:
        name: for tables and file names.
        threshold: a pixel whose probability is above it is object.
        zoom: how the network zooms in, or None for the whole image.
        flip: average the logits with those of the mirrored image.
        max_clicks: clicks per instance; NoC of an instance that never gets there is this number.

    Raises:
        ValueError: threshold outside (0, 1), or no click.
    """

    name: str
    threshold: float
    zoom: ZoomRule | None
    flip: bool = True
    max_clicks: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or self.max_clicks < 1:
            raise ValueError(
                f"Protocol {self.name!r} needs 0 < threshold < 1 and max_clicks >= 1, "
                f"got threshold={self.threshold}, max_clicks={self.max_clicks}."
            )

    def segmenter(self, round: RoundLike) -> Segmenter:
        """`round` played as this protocol says: with its zoom, and with or without the mirrored image."""
        round = replace(round, flip=self.flip)
        return WholeImage(round) if self.zoom is None else ZoomIn(round, self.zoom)

    def resized(self, target: Size | int | None) -> EvaluationProtocol:
        """The same with another input size of the network, such as that of a small model.

        Raises:
            ValueError: the protocol shows the whole image and has no such size.
        """
        if self.zoom is None:
            raise ValueError(f"Protocol {self.name!r} shows the whole image, so it has no input size to change.")
        return replace(self, zoom=replace(self.zoom, target=target))

    def settings(self) -> dict[str, Any]:
        """Everything of it as plain values, for JSON; `from_settings` reads it."""
        return asdict(self)

    @staticmethod
    def from_settings(settings: dict[str, Any]) -> EvaluationProtocol:
        """The protocol of a dictionary that `settings` made, before or after JSON."""
        zoom = settings["zoom"]
        if zoom is not None:
            target = zoom["target"]
            zoom = ZoomRule(**{**zoom, "target": tuple(target) if isinstance(target, list) else target})
        return EvaluationProtocol(**{**settings, "zoom": zoom})


PROTOCOLS = {
    known.name: known
    for known in (
        # MFP and VFM-ISRefiner
        EvaluationProtocol("paper", threshold=0.5, zoom=ZoomRule((448, 448), skip_clicks=-1, keep_outside=True)),
        EvaluationProtocol("simpleclick", threshold=0.49, zoom=ZoomRule((448, 448), skip_clicks=-1, keep_outside=False)),
        # ours, for imagery of small objects and for small images: as "paper", but a crop may shrink to 48 px a side
        EvaluationProtocol("close", threshold=0.5, zoom=ZoomRule((448, 448), skip_clicks=-1, keep_outside=True, min_crop=48)),
        EvaluationProtocol("ritm", threshold=0.49, zoom=ZoomRule(400, skip_clicks=1, keep_outside=False)),
    )
}


def protocol(name: str) -> EvaluationProtocol:
    """The protocol of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"There is no evaluation protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
