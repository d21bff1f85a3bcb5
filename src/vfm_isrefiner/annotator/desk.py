"""`Desk`: all that one server holds: scenes, sessions, the model's name and the pools of threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request

from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.registry import Entry, Registry
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.workers import Workers
from vfm_isrefiner.predictor import Predictor


@dataclass(frozen=True)
class Desk:
    """Made once; the application's routes find it in `app.state.desk`.

    Attributes:
        scenes: by id. registry: of sessions. predictor: of all of them, as `registry` has it. model, device: names for people.
        clicking, drawing, keeping, exporting: threads of the network, of tiles, of the files of objects, and of exports.
    """

    scenes: Mapping[str, AnnotatedScene]
    registry: Registry
    predictor: Predictor
    model: str
    device: str
    keeping: Workers
    clicking: Workers = field(default_factory=lambda: Workers("click", 8, 32))
    drawing: Workers = field(default_factory=lambda: Workers("tile", 4, 128))
    exporting: Workers = field(default_factory=lambda: Workers("export", 1, 4))

    def close(self) -> None:
        """After the work that is being done, give all files free."""
        for workers in (self.clicking, self.drawing, self.keeping, self.exporting):
            workers.close()
        self.predictor.close()
        for scene in self.scenes.values():
            scene.close()


async def desk_of(request: Request) -> Desk:
    """The desk of the application that was asked."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]


async def scene_of(
    desk: TheDesk, scene: Annotated[str, Path(max_length=64, description="id of a scene, of GET /api/scenes")]
) -> AnnotatedScene:
    """The scene of an address. Raises `Refusal` 404."""
    if scene not in desk.scenes:
        raise Refusal(404, "There is no such scene: GET /api/scenes lists those that are open here.")
    return desk.scenes[scene]


async def entry_of(desk: TheDesk, session: Annotated[str, Path(max_length=64, description="name of a session")]) -> Entry:
    """The session of an address. Raises `Refusal` 404."""
    return await desk.registry.get(session)


TheScene = Annotated[AnnotatedScene, Depends(scene_of)]
TheEntry = Annotated[Entry, Depends(entry_of)]
