"""`isrefiner annotate`: a page in the browser to click objects of rasters on this machine."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vfm_isrefiner.cli.scene_options import add_network, add_scene

if TYPE_CHECKING:
    from vfm_isrefiner.annotator.scene import AnnotatedScene
    from vfm_isrefiner.predictor import Predictor

NEEDED = ("fastapi", "uvicorn")
TOKEN = "ISREFINER_TOKEN"
EXAMPLE = "isrefiner-example"
GATHERED = 8  # clicks of several sessions in one forward, on a GPU
DESCRIPTION = """Objects of rasters by clicks, in a page that this command serves and opens in the browser. Each accepted object
is in a GeoPackage before the page says so; the same command goes on with it. Without a scene a drawn one is opened."""
EXAMPLES = f"""
examples:
  isrefiner annotate                                             a drawn scene in ./{EXAMPLE}
  isrefiner annotate scene.tif --labels building,vehicle         objects go to scene.gpkg beside it
  isrefiner annotate s2.tif --bands 4,3,2 --out roofs.gpkg
  isrefiner annotate a.tif b.tif --out "objects/{{scene}}.gpkg"
  {TOKEN}=SECRET isrefiner annotate scene.tif --host 0.0.0.0 --port 8000 --no-browser

Only this machine can reach the page unless --host says otherwise, which needs a token: docs/deploy.md.
"""


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        ValueError: an argument is wrong, or a package is missing. OSError: a file or the address cannot be had.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ValueError(
            f'isrefiner annotate needs {" and ".join(missing)}, not installed here: pip install "vfm-isrefiner[annotate]"'
        )
    from vfm_isrefiner.annotator.app import create_app
    from vfm_isrefiner.annotator.server import address_of, bound, check_host, hosts_of, serve
    from vfm_isrefiner.batch.windows import WindowRule
    from vfm_isrefiner.geo.opening import quiet_for_good
    from vfm_isrefiner.models.known_files import terms_of

    token = os.environ.get(TOKEN) if args.token is None else args.token  # an empty one is a slip, and is told
    check_host(args.host, token, args.allowed_host)
    quiet_for_good()
    rule = WindowRule(args.window, max(args.window, args.max_window))
    with ExitStack() as stack:
        socket = stack.enter_context(bound(args.host, args.port))
        scenes = scenes_of(args, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isrefiner-"))))
        for one in scenes:
            stack.callback(one.close)
        app = create_app(
            predictor_of(args),
            scenes,
            model=Path(args.checkpoint).stem,
            token=token,
            hosts=hosts_of(args.host, args.allowed_host),
            rule=rule,
            most_sessions=args.sessions,
        )
        if terms := terms_of(args.checkpoint):
            print(terms, file=sys.stderr)
        for one in scenes:
            print(f"{one.path.name}: {len(one.store.objects()):,} objects in {one.store.path}")
            if one.advice:
                print(f"advice: {one.advice}", file=sys.stderr)
        serve(app, socket, address_of(socket, args.host, token), browser=not args.no_browser)


def predictor_of(args: argparse.Namespace) -> Predictor:
    """The network, on its device; on a GPU it takes clicks of several sessions together."""
    from vfm_isrefiner.device import chosen_device
    from vfm_isrefiner.predictor import Predictor

    device = chosen_device(args.device)
    return Predictor.from_checkpoint(
        args.checkpoint,
        device=device,
        precision=args.precision,
        backbone_checkpoint=args.backbone_checkpoint,
        released=args.released,
        gather=GATHERED if device.type == "cuda" else 0,
    )


def scenes_of(args: argparse.Namespace, folder: Path) -> list[AnnotatedScene]:
    """The scenes of the command line, each with its file of objects; `folder` is for what is kept while this runs.

    Raises:
        ValueError: a scene or an output is not what it should be.
    """
    from vfm_isrefiner.annotator.example import example_scene
    from vfm_isrefiner.annotator.scene import AnnotatedScene
    from vfm_isrefiner.batch.scenes import jobs_of

    names = args.scenes or [str(example_scene(Path(EXAMPLE)))]
    if args.out is None:
        jobs = [job for name in names for job in jobs_of([name], "", "{scene}.gpkg")]
        pairs = {job.scene: job.scene.with_suffix(".gpkg") for job in jobs}
    else:
        pairs = {job.scene: job.out for job in jobs_of(names, "", args.out)}
    made: list[AnnotatedScene] = []
    try:
        for number, (scene, out) in enumerate(pairs.items()):
            if out.suffix.lower() != ".gpkg" or out == scene:
                raise ValueError(f"--out {out}: objects are kept in a GeoPackage; name one that ends in .gpkg.")
            made.append(AnnotatedScene(str(number), scene, out, folder, args.labels, args.bands, args.stretch))
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def _labels(text: str) -> list[str]:
    labels = [one.strip() for one in text.split(",") if one.strip()]
    if not labels or not all(one.isprintable() and len(one) <= 80 for one in labels):
        raise argparse.ArgumentTypeError(f"names such as building,vehicle were expected, 80 characters at most, got {text!r}")
    return labels


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"a number from 1 on was expected, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a number from 0 to 65535 was expected, got {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="isrefiner annotate",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("scenes", nargs="*", metavar="SCENE", help="rasters, or a .txt file with one a line (default: a drawn scene)")
    add("--out", metavar="FILE", help="GeoPackage of the objects; {scene} stands for the scene's name (default: beside it)")
    add("--labels", type=_labels, default=[], metavar="A,B", help="classes, keys 1 to 9 in the page")
    add_network(made)
    add_scene(made)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine alone)")
    add("--port", type=_port, help="0: any free one (default: the first free one from 8765)")
    add("--token", metavar="SECRET", help=f"what clients must bring; better as {TOKEN}, which other users cannot list")
    add("--allowed-host", action="append", default=[], metavar="NAME", help="a name that a reverse proxy is asked by")
    add("--sessions", type=_count, default=64, metavar="N", help="at work at a time (default: %(default)s)")
    add("--no-browser", action="store_true", help="print the address only")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    args = parser().parse_args(words)

    from vfm_isrefiner.cli.settings import short_errors

    with short_errors():
        try:
            run(args)
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)


if __name__ == "__main__":
    main()
