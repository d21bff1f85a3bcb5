"""`Serve`: a server in this process on scenes of objects of one grey value each."""

from contextlib import ExitStack, closing

from annotator.client import Client, serving
from batch_scenes import predictor, write_scene

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.batch.windows import WindowRule

SMALL = WindowRule(32, 128)


class Serve:
    """`serve()` starts a server, in the place of one that runs, and gives a client."""

    def __init__(self, folder, network):
        self.folder, self.network, self.stack = folder, network, ExitStack()

    def __call__(self, grids=("utm",), plays=None, **settings):
        """`grids`: one scene each. `plays`: a predictor. Other arguments are those of `create_app`."""
        self.stop()
        scenes = [self.opened(str(number), grid) for number, grid in enumerate(grids)]
        app = create_app(plays or predictor(self.network), scenes, model="grey", **{"rule": SMALL, **settings})
        port = self.stack.enter_context(serving(app))
        return self.stack.enter_context(closing(Client(port, settings.get("token"))))

    def opened(self, id, grid):
        path = self.folder / f"{grid}.tif"
        if not path.exists():
            write_scene(path, grid)
        return AnnotatedScene(id, path, self.folder / f"{grid}.gpkg", self.folder, ["roof", "car"])

    def stop(self):
        """End it as Ctrl-C does."""
        self.stack.close()
