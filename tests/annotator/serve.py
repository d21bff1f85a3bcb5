"""The annotator on the drawn scene with the network of colours: `python tests/annotator/serve.py --port 8765`."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from colour_network import colour_predictor

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.example import example_scene
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.server import address_of, bound, serve


def app_of(folder, scenes=(), labels=("building", "vehicle", "tree"), **settings):
    """The application on rasters, or on the drawn scene; objects lie beside them in `folder`."""
    folder = Path(folder)
    files = [Path(one) for one in scenes] or [example_scene(folder)]
    made = [
        AnnotatedScene(str(number), file, folder / f"{file.stem}.gpkg", folder, labels) for number, file in enumerate(files)
    ]
    return create_app(colour_predictor(), made, model="colours", **settings)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*")
    parser.add_argument("--folder", help="where objects are kept (default: a temporary folder)")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        app = app_of(args.folder or temporary, args.scenes, token=args.token)
        socket = bound("127.0.0.1", args.port)
        serve(app, socket, address_of(socket, "127.0.0.1", args.token), browser=False)


if __name__ == "__main__":
    main()
