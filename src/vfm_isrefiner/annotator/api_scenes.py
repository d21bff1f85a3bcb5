"""Routes of scenes, their tiles and their accepted objects."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from vfm_isrefiner.annotator.answers import (
    LARGEST,
    LabelBody,
    ObjectAnswer,
    ObjectsAnswer,
    SceneAnswer,
    SceneWhole,
    refusals,
)
from vfm_isrefiner.annotator.desk import TheDesk, TheScene
from vfm_isrefiner.annotator.exporting import MEDIA, Format, exported
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.tiles import tile_png
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.stretch import Stretch

router = APIRouter(prefix="/api/scenes", tags=["scenes"])
Number = Annotated[int, Path(ge=1, le=LARGEST, description="id of an object")]
Tile = Annotated[int, Path(ge=0, le=2**31)]
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "PNG with alpha"}}


@router.get("", summary="All scenes that are open here")
async def scenes(desk: TheDesk) -> list[SceneAnswer]:
    """In the order of the command line."""
    return await desk.keeping.run(lambda: [SceneAnswer(**one.told()) for one in desk.scenes.values()])


@router.get("/{scene}", summary="One scene, with its place on the ground and its bands", responses=refusals(404))
async def one_scene(desk: TheDesk, scene: TheScene) -> SceneWhole:
    """`geotransform` maps pixel corners (column, row) to coordinates: (a*column + b*row + c, d*column + e*row + f)."""
    return SceneWhole(**await desk.keeping.run(scene.told_wholly))


@router.get(
    "/{scene}/tiles/{z}/{x}/{y}.png",
    summary="A tile of 256 x 256 pixels",
    response_class=Response,
    responses=PNG | refusals(404, 422, 503),
)
async def tile(
    request: Request,
    desk: TheDesk,
    scene: TheScene,
    z: Tile,
    x: Tile,
    y: Tile,
    bands: Annotated[str | None, Query(max_length=40, description="red, green and blue, from 1", examples=["4,3,2"])] = None,
    stretch: Annotated[Stretch | None, Query(description="of values to 8 bits; default: as the network sees them")] = None,
) -> Response:
    """In pixels of the raster, which is not warped: z = 0 shows all of it, the last level every pixel. y counts downwards."""
    try:
        state = scene.path.stat()
    except OSError as error:
        raise RasterError(f"{scene.path} cannot be read ({error.strerror}). Put it back where it was.") from error
    about = f"{state.st_size} {state.st_mtime_ns} {z} {x} {y} {bands} {stretch}"
    mark = f'"{hashlib.blake2b(about.encode(), digest_size=12).hexdigest()}"'
    headers = {"ETag": mark, "Cache-Control": "private, no-cache"}
    chosen = scene.bands if bands is None else _bands(bands, scene.described.bands)
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    content = await desk.drawing.run(tile_png, scene, z, x, y, chosen, stretch or scene.stretch)
    return Response(content, media_type="image/png", headers=headers)


@router.get(
    "/{scene}/objects",
    summary="Accepted objects, or what changed of them",
    response_class=Response,
    responses={200: {"model": ObjectsAnswer}, **refusals(404, 422, 503)},
)
async def objects(
    desk: TheDesk, scene: TheScene, since: Annotated[int, Query(ge=0, le=LARGEST, description="a version; 0: all")] = 0
) -> Response:
    """Poll with the `version` of the last answer: what changed since, and the ids that went."""
    content = await desk.keeping.run(_told_since, scene, since)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.patch("/{scene}/objects/{number}", summary="Another label for an object", responses=refusals(404, 409, 422, 503))
async def relabel(desk: TheDesk, scene: TheScene, number: Number, body: LabelBody) -> ObjectAnswer:
    """409 where the object is not of this version any more; the answer has it as it is now."""
    one = await desk.keeping.run(scene.store.relabel, number, body.version, body.label)
    return ObjectAnswer(**one.told())


@router.delete("/{scene}/objects/{number}", status_code=204, summary="Delete an object", responses=refusals(404, 409, 422, 503))
async def delete(desk: TheDesk, scene: TheScene, number: Number, version: Annotated[int, Query(ge=0, le=LARGEST)]) -> Response:
    """409 as for PATCH. `restore` brings it back until the server ends."""
    await desk.keeping.run(scene.store.delete, number, version)
    return Response(status_code=204)


@router.post("/{scene}/objects/{number}/restore", summary="A deleted object again", responses=refusals(404, 503))
async def restore(desk: TheDesk, scene: TheScene, number: Number) -> ObjectAnswer:
    """As it was when it was deleted, with the same id and a new version."""
    return ObjectAnswer(**(await desk.keeping.run(scene.store.restore, number)).told())


@router.get(
    "/{scene}/export",
    summary="All accepted objects as a file",
    response_class=StreamingResponse,
    responses={200: {"content": {one: {} for one in MEDIA.values()}, "description": "the file"}, **refusals(404, 422, 503)},
)
async def export(
    desk: TheDesk, scene: TheScene, format: Annotated[Format, Query(description="of the file")]
) -> StreamingResponse:
    """In the scene's reference system. shp and tif come as zip archives: parts of a Shapefile; ids and the table of them."""
    file = await desk.exporting.run(exported, scene, format)
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "-_.") else "_" for one in file.name)
    name = f"filename=\"{plain}\"; filename*=UTF-8''{quote(file.name)}"
    headers = {"Content-Disposition": f"attachment; {name}", "Content-Length": str(file.size), "Cache-Control": "no-store"}
    return StreamingResponse(file.pieces(), media_type=file.media, headers=headers)


def _told_since(scene: AnnotatedScene, since: int) -> bytes:
    """An `ObjectsAnswer`; thousands of outlines are not checked again on their way out."""
    version, changed, gone = scene.store.since(since)
    return json.dumps({"version": version, "objects": [one.told() for one in changed], "deleted": gone}).encode()


def _bands(text: str, count: int) -> list[int]:
    words = text.split(",")
    numbers = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 6]
    if len(numbers) != 3 or len(words) != 3 or not all(1 <= number <= count for number in numbers):
        raise Refusal(422, f"bands={text!r} was asked; three numbers from 1 to {count} were expected, such as bands=1,1,1.")
    return numbers
