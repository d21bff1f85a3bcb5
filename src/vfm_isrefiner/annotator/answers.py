"""The bodies and answers of the API, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LARGEST = 2**53 - 1  # what JavaScript counts up to


def _printable(text: str) -> str:
    """Without spaces at the ends. Raises `ValueError` where it holds what no line shows."""
    text = text.strip()
    if not text.isprintable():
        raise ValueError("it holds characters that cannot be printed")
    return text


Label = Annotated[
    str, Field(max_length=80, examples=["building"], description="empty: not known yet"), AfterValidator(_printable)
]
Author = Annotated[str, Field(max_length=80, examples=["Ada"]), AfterValidator(_printable)]
Version = Annotated[int, Field(ge=0, le=LARGEST, description="of the object, as it was read")]
ObjectId = Annotated[int, Field(ge=1, le=LARGEST)]


class Body(BaseModel):
    """Unknown members, and text where a number belongs, are refused: they are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ClickBody(Body):
    """A click in pixels of the scene: pixel centres are whole numbers, the first pixel covers -0.5 to 0.5."""

    x: Annotated[float, Field(allow_inf_nan=False, examples=[120.0])]
    y: Annotated[float, Field(allow_inf_nan=False, examples=[80.0])]
    positive: Annotated[bool, Field(description="on the object (true) or off it (false)")] = True


class SessionBody(Body):
    """Who annotates, and the session to go on with."""

    author: Author = ""
    resume: Annotated[str | None, Field(max_length=64, description="a session from before a crash or a closed tab")] = None


class EditBody(Body):
    """The accepted object to go on with."""

    object: ObjectId
    version: Version


class AcceptBody(Body):
    """The class of the object."""

    label: Label


class LabelBody(Body):
    """Another class for an object of this version."""

    label: Label
    version: Version


class Outline(BaseModel):
    """Polygons in pixels of the scene, along the edges of pixels: x from -0.5 to width - 0.5. Later rings are holes."""

    type: Literal["MultiPolygon"]
    coordinates: list[list[list[tuple[float, float]]]]


class Click(BaseModel):
    x: float
    y: float
    positive: bool


class SceneAnswer(BaseModel):
    """A raster."""

    id: str
    name: str
    width: int
    height: int
    bands: int
    dtype: str
    crs: str | None
    labels: list[str]
    tile_size: int
    levels: int
    gsd_m: float | None


class SceneWhole(SceneAnswer):
    """A raster with what the page needs to show it."""

    geotransform: Annotated[list[float] | None, Field(description="a, b, c, d, e, f: pixel corners to coordinates")]
    band_names: list[str]
    default_bands: list[int]
    stretches: list[str]
    default_stretch: str


class ObjectAnswer(BaseModel):
    """An accepted object."""

    id: int
    label: str
    polygon: Outline | None
    area_m2: float | None
    area_px: int
    clicks: int
    score: float
    version: int
    author: str


class ObjectsAnswer(BaseModel):
    """Objects that changed, and ids that went."""

    version: int
    objects: list[ObjectAnswer]
    deleted: list[int]


class StateAnswer(BaseModel):
    """The running object of a session."""

    session: str
    scene: str
    clicks: list[Click]
    can_undo: bool
    can_redo: bool
    polygon: Outline | None
    score: float | None
    window: Annotated[list[int] | None, Field(description="left, top, right, bottom; the last two exclusive")]
    editing: int | None
    area_px: int
    area_m2: float | None
    note: str | None


class AcceptAnswer(BaseModel):
    """The object as it is on the disk, and the session after it."""

    object: ObjectAnswer
    state: StateAnswer


class HealthAnswer(BaseModel):
    """Whether the server works; without the token only that."""

    status: Literal["ok"]
    version: str | None = None
    model: str | None = None
    device: str | None = None
    sessions: int | None = None


class ErrorAnswer(BaseModel):
    """What went wrong, in one sentence."""

    detail: str


class StaleAnswer(ErrorAnswer):
    """The object was changed by someone else; this is how it is now."""

    object: ObjectAnswer


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these answers."""
    return {status: {"model": StaleAnswer if status == 409 else ErrorAnswer} for status in statuses}
