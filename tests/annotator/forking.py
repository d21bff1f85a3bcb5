"""Servers that are forked from one process, which has imported everything: a new one costs no seconds.

Each line of the standard input is a folder with a scene.tif; the answer is a line with the child's id and its port.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotator.colour_network import colour_predictor

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.annotator.server import bound, serve


def child(folder):
    with bound("127.0.0.1", 0) as socket:
        print(os.getpid(), socket.getsockname()[1], flush=True)
        sys.stdout = sys.stderr
        app = create_app(colour_predictor(), [AnnotatedScene("0", folder / "scene.tif", folder / "objects.gpkg", folder)])
        serve(app, socket, "", browser=False)


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                child(Path(line.strip()))
            finally:
                os._exit(1)


if __name__ == "__main__":
    main()
