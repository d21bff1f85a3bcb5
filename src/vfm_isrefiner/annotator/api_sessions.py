"""Routes of sessions: what one person clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from vfm_isrefiner.annotator.answers import (
    AcceptAnswer,
    AcceptBody,
    ClickBody,
    EditBody,
    ObjectAnswer,
    SessionBody,
    StateAnswer,
    refusals,
)
from vfm_isrefiner.annotator.desk import Desk, TheDesk, TheEntry, TheScene
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.registry import Entry
from vfm_isrefiner.annotator.tiles import probability_png

router = APIRouter(prefix="/api", tags=["sessions"])


async def _done(desk: Desk, entry: Entry, step: Callable[..., object] | None, *arguments: Any) -> StateAnswer:
    """Take the step in the session's turn; the state after it."""

    def work() -> dict[str, Any]:
        if step is not None:
            step(*arguments)
        return entry.running.state()

    async with entry.lock:
        state = await desk.clicking.run(work)
    desk.registry.cool(entry)
    return StateAnswer(**state)


@router.post("/scenes/{scene}/sessions", summary="Begin to annotate, or go on", responses=refusals(404, 422, 429, 503))
async def begin(desk: TheDesk, scene: TheScene, body: SessionBody) -> StateAnswer:
    """With `resume`, the session goes on with its clicks, also after the server was killed; unknown ones begin anew."""
    return await _done(desk, await desk.registry.begin(scene, body.author, body.resume), None)


@router.get("/sessions/{session}", summary="The running object", responses=refusals(404, 503))
async def state(desk: TheDesk, entry: TheEntry) -> StateAnswer:
    """As it is."""
    return await _done(desk, entry, None)


@router.post("/sessions/{session}/click", summary="Click on the object, or off it", responses=refusals(404, 422, 503))
async def click(desk: TheDesk, entry: TheEntry, body: ClickBody) -> StateAnswer:
    """The mask that follows. A first positive click on an accepted object opens it for editing; `note` says so."""
    return await _done(desk, entry, entry.running.click, body.x, body.y, body.positive)


@router.post("/sessions/{session}/undo", summary="Take the last click back", responses=refusals(404, 422, 503))
async def undo(desk: TheDesk, entry: TheEntry) -> StateAnswer:
    """422 where there is none."""
    return await _done(desk, entry, entry.running.undo)


@router.post("/sessions/{session}/redo", summary="Make the click again that was taken back", responses=refusals(404, 422, 503))
async def redo(desk: TheDesk, entry: TheEntry) -> StateAnswer:
    """422 where there is none."""
    return await _done(desk, entry, entry.running.redo)


@router.post("/sessions/{session}/reset", summary="Discard the running object", responses=refusals(404, 503))
async def reset(desk: TheDesk, entry: TheEntry) -> StateAnswer:
    """An accepted object that was edited stays as it was."""
    return await _done(desk, entry, entry.running.reset)


@router.post("/sessions/{session}/edit", summary="Go on with an accepted object", responses=refusals(404, 409, 422, 503))
async def edit(desk: TheDesk, entry: TheEntry, body: EditBody) -> StateAnswer:
    """Its mask becomes the running one; `accept` writes it back."""
    return await _done(desk, entry, entry.running.edit, body.object, body.version)


@router.post("/sessions/{session}/accept", summary="Keep the running object", responses=refusals(404, 409, 422, 503))
async def accept(desk: TheDesk, entry: TheEntry, body: AcceptBody) -> AcceptAnswer:
    """The object is on the disk when the answer comes. 409 where the edited object was changed by someone else."""

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        return entry.running.accept(body.label).told(), entry.running.state()

    async with entry.lock:
        told, after = await desk.clicking.run(work)
    return AcceptAnswer(object=ObjectAnswer(**told), state=StateAnswer(**after))


@router.get(
    "/sessions/{session}/probability.png",
    summary="The network's probability over the window",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "PNG with alpha"}, **refusals(404, 503)},
)
async def probability(desk: TheDesk, entry: TheEntry) -> Response:
    """As large as `state.window`. 404 before the first click."""

    def work() -> bytes | None:
        found = entry.running.probability()
        return None if found is None else probability_png(found)

    async with entry.lock:
        content = await desk.clicking.run(work)
    if content is None:
        raise Refusal(404, "There is no probability before the first click: click on an object.")
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.post("/sessions/{session}/close", status_code=204, summary="Leave", responses=refusals(404))
async def close(desk: TheDesk, entry: TheEntry) -> Response:
    """Gives the session's memory free. Its clicks stay on the disk, for `resume`."""
    async with entry.lock:
        desk.registry.close(entry.running.key)
    return Response(status_code=204)
