"""`create_app`: the HTTP API and the page over scenes and a predictor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from vfm_isrefiner import __version__
from vfm_isrefiner.annotator import api_scenes, api_sessions
from vfm_isrefiner.annotator.answers import HealthAnswer, refusals
from vfm_isrefiner.annotator.desk import Desk, TheDesk
from vfm_isrefiner.annotator.refusal import Refusal
from vfm_isrefiner.annotator.registry import Registry
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.security import LOOPBACK, Guard
from vfm_isrefiner.annotator.workers import Workers
from vfm_isrefiner.batch.windows import WindowRule
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.predictor import NetworkBusy, Predictor

STATIC = Path(__file__).parent / "static"
DESCRIPTION = """Click-based annotation of rasters. Coordinates are pixels of the scene, (x, y) = (column, row); pixel centres
are whole numbers, so that the first pixel covers -0.5 to 0.5. Errors are `{"detail": "one sentence"}`. With a token, send
`Authorization: Bearer TOKEN`."""

SENTENCES = {404: "There is nothing at this address.", 405: "This address is not asked in this way."}


def create_app(
    predictor: Predictor,
    scenes: Sequence[AnnotatedScene],
    *,
    model: str = "",
    token: str | None = None,
    hosts: Sequence[str] = LOOPBACK,
    rule: WindowRule | None = None,
    most_sessions: int = 64,
) -> FastAPI:
    """The application; it closes the scenes when it ends.

    Args:
        predictor: plays the clicks of all sessions.
        scenes: with ids that are unlike.
        model: the network's name, for /health.
        token: what every request must bring; None: nothing.
        hosts: names and addresses under which the server may be asked.
        rule: sides that windows may have.
        most_sessions: at work at a time.
    """
    by_id = {one.id: one for one in scenes}
    keeping = Workers("file", 4, 64)
    registry = Registry(by_id, predictor, keeping, rule, most_sessions)
    desk = Desk(by_id, registry, predictor, model, str(predictor.device), keeping)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(
        title="VFM-ISRefiner annotator",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=refusals(400, 401, 413, 422),  # of any request
    )
    app.state.desk = desk
    app.add_middleware(Guard, hosts=hosts, token=token)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RasterError, _unreadable)
    app.add_exception_handler(NetworkBusy, _busy)
    app.add_exception_handler(OSError, _unwritten)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(Exception, _fault)
    app.include_router(api_scenes.router)
    app.include_router(api_sessions.router)

    @app.get("/health", tags=["server"], summary="Is the server well?", response_model_exclude_none=True)
    async def health(desk: TheDesk, request: Request) -> HealthAnswer:
        """Needs no token, and says nothing but the status without it."""
        if not request.scope.get("state", {}).get("known", True):
            return HealthAnswer(status="ok")
        sessions = len(desk.registry)
        return HealthAnswer(status="ok", version=__version__, model=desk.model, device=desk.device, sessions=sessions)

    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return JSONResponse({"detail": error.detail, **error.more}, error.status, error.headers)


async def _unreadable(request: Request, error: Exception) -> JSONResponse:
    """Files go by their names: where they lie is nobody's business."""
    detail = str(error)
    for scene in request.app.state.desk.scenes.values():
        detail = detail.replace(str(scene.path), scene.path.name)
    return JSONResponse({"detail": detail}, 422)


async def _busy(_: Request, error: Exception) -> JSONResponse:
    text = "Too many clicks wait for the network. Try again in a second."
    return JSONResponse({"detail": text}, 503, {"Retry-After": "1"})


async def _unwritten(_: Request, error: Exception) -> JSONResponse:
    reason = getattr(error, "strerror", None) or "the disk refused"
    text = f"A file could not be written ({reason}). Free some space on the server, and try again."
    return JSONResponse({"detail": text}, 503, {"Retry-After": "10"})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """The first fault, without the values: those may be anything."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = " ".join(str(one) for one in first["loc"])
    text = f"{where}: {first['msg']}. GET /api/openapi.json says what is expected."
    return JSONResponse({"detail": text.encode("ascii", "replace").decode()}, 422)


async def _told(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = SENTENCES.get(error.status_code, f"The request cannot be answered: {error.detail}.")
    return JSONResponse(
        {"detail": f"{detail} GET /api/openapi.json lists what can be asked."}, error.status_code, error.headers
    )


async def _fault(_: Request, error: Exception) -> JSONResponse:
    """The trace goes to the server's own output."""
    return JSONResponse({"detail": "The server met a fault of its own; its terminal says more. Try again."}, 500)
