"""`isrefiner COMMAND ...`: finds the command and hands over; imports nothing heavy, so `--help` comes at once."""

from __future__ import annotations

import sys
from importlib import import_module

from vfm_isrefiner import __version__

COMMANDS = {
    "train": "train a network; settings are given as name=value",
    "evaluate": "clicks needed (NoC) of a trained, published or untrained network on a set of instances",
    "prepare": "cut the large images of a set into patches with an index, once",
    "data": "check a set: counts, histograms, a picture sheet, every problem with its file",
    "benchmark": "speed of a click, an evaluation, training and data loading, each beside the plain way",
    "predict": "objects of GeoTIFFs from points or rough polygons in a file, as polygons, COCO or ids; resumable",
    "annotate": "a page in the browser: click objects of rasters, kept in a GeoPackage; without a file on a drawn scene",
    "report": "finished runs side by side: tables, intervals, figures, one page",
    "gallery": "objects of a finished run click by click: the worst, the best or any, by size or class",
    "checkpoints": "weights that ship with the package, published ones that it reads; what a file holds; conversion",
    "calibrate": "make a network's scores tell the IoU, and check that they do",
    "model": "the parts of a network: parameters, trainable parameters, FLOPs",
    "demo": "the shipped networks on drawn scenes: a table and a page; or a small one before and after training",
}

HELP = f"""Click-based interactive segmentation of remote-sensing images (vfm-isrefiner {__version__}).

usage: isrefiner COMMAND [name=value ...]

{chr(10).join(f"  {name:<12}{text}" for name, text in COMMANDS.items())}

examples:
  isrefiner annotate scene.tif                                click objects in the browser
  isrefiner demo out=demo                                     no data needed, a minute or two
  isrefiner train experiment=smoke                            the whole training in seconds, on drawn scenes
  isrefiner train experiment=real_small                       on the images of paths.shared ($VFM_SHARED, else ../shared)
  isrefiner train experiment=smoke -m model.theta=0.5,1.0     two runs and one table
  isrefiner train experiment=table5                           Table V of the paper: docs/experiments.md
  isrefiner report outputs/tables                             tables, intervals, figures and a page of finished runs
  isrefiner evaluate checkpoint=outputs/.../last.ckpt         NoC table, curve and pictures
  isrefiner data check set=loveda root=LoveDA split=val       what is in a set, and what is wrong with it
  isrefiner prepare set=isaid root=iSAID out=prepared/isaid   patches of 800 px and their index
  isrefiner model model.size=paper                            what the paper's Table III counts

isrefiner COMMAND --help tells more. Results go to a dated folder under ./outputs, those of the demo to out.
"""


def main() -> None:
    """The console script.

    Exit status: 0 done, 1 a reported error, 2 wrong usage, 143 or 138 stopped by SIGTERM or SIGUSR1 after saving.
    """
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        sys.exit(0 if words else 2)
    if words[0] in ("-V", "--version"):
        print(__version__)
        return
    if words[0] not in COMMANDS:
        print(
            f"isrefiner: unknown command {words[0]!r}, expected one of {', '.join(COMMANDS)}; see isrefiner --help",
            file=sys.stderr,
        )
        sys.exit(2)
    module = import_module(f"vfm_isrefiner.cli.{words[0]}")
    # a distributed run starts its other processes from argv, or from the module after `python -m`: the command, not this file
    sys.argv = [str(module.__file__), *flags_first(words[1:])]
    if getattr(sys.modules["__main__"].__spec__, "name", None) == __spec__.name:
        sys.modules["__main__"].__spec__ = module.__spec__
    module.main()


def flags_first(words: list[str]) -> list[str]:
    """`words` with Hydra's flag for several runs in front, as its parser takes settings on one side of a flag only."""
    flags = [word for word in words if word in ("-m", "--multirun")]
    return [*flags, *(word for word in words if word not in flags)]


if __name__ == "__main__":
    main()
