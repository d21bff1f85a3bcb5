"""`isrefiner demo`: the shipped networks on drawn scenes, or, with `learn`, a small network before and after its training."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

DESCRIPTION = """The shipped networks click on drawn aerial scenes, with no data to download: a table of the clicks they need,
click-by-click pictures, the curve of the mean IoU, and one page with all of it. With `learn`: a small untrained network is
evaluated, trained for some minutes, and evaluated again.
"""
EXAMPLES = """examples:
  isrefiner demo                                         a minute or two on two cores; leaves demo/report.html
  isrefiner demo out=demo limit=60                       any setting of isrefiner evaluate
  isrefiner demo learn out=learned                       about five minutes on two cores
  isrefiner demo learn out=quick trainer.max_epochs=1    any setting of isrefiner train
"""
NETWORKS = ("default_stage1", "default_stage2")
SCENES = (
    "data=synthetic",
    "split=test",
    "data.augmentation.crop_size=320",
    "input_size=320",
    "limit=10",
    "flip=false",
    "panels=2",
)


def show(out: Path, settings: list[str]) -> Path:
    """Play the shipped networks and make the page; everything is left in `out`.

    Returns:
        The page's file.
    """
    from vfm_isrefiner.cli import evaluate, report
    from vfm_isrefiner.cli.settings import composed
    from vfm_isrefiner.models.known_files import terms_of

    begun = time.monotonic()
    for name in NETWORKS:
        print(" ".join([f"{name} on drawn scenes.", terms_of(name) or ""]).rstrip())
        words = [f"checkpoint={name}", f"name={name}", *SCENES, *settings, f"paths.run={out / name}"]
        evaluate.run(composed("evaluate", words))
    wanted = report.Wanted((str(out),), out, quoted=False, panels=3, title="The shipped networks on drawn scenes")
    page = report.run(wanted)
    took, panels = time.monotonic() - begun, out / "default_stage1/panels"
    print(f"{took:.0f} s. Open {page.resolve()}; click-by-click pictures are in {panels}.")
    return page


def learn(cfg: DictConfig) -> dict[str, Any]:
    """Before, training, after; everything is left in `cfg.paths.run`.

    Returns:
        The summary of the untrained and of the trained network.
    """
    from vfm_isrefiner.cli.train import held_out_scores, parts
    from vfm_isrefiner.files import write_whole
    from vfm_isrefiner.models.checkpoints import save_network
    from vfm_isrefiner.report import figures, tables

    folder, begun = Path(cfg.paths.run), time.monotonic()
    module, datamodule, trainer = parts(cfg)
    datamodule.prepare_data()
    datamodule.setup("fit")
    print("1/3  the untrained network")
    before = held_out_scores(cfg, module.round, datamodule, folder / "untrained")
    print("2/3  training")
    trainer.fit(module, datamodule=datamodule)
    save_network(module.network, folder / "network.safetensors")
    print("3/3  the trained network")
    after = held_out_scores(cfg, module.round, datamodule, folder / "trained")
    rows = {f"{when}": next(iter(summaries.values())) for when, summaries in (("untrained", before), ("trained", after))}
    table = tables.markdown_table(rows)
    write_whole(folder / "table.md", f"{table}\n".encode())
    write_whole(folder / "summary.json", f"{json.dumps(rows, indent=2)}\n".encode())
    figures.miou_curves(rows, folder / "curve.png")
    print(f"\n{table}\n\n{time.monotonic() - begun:.0f} s. Table, curve.png, panels and the network are in {folder.resolve()}")
    return rows


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="isrefiner demo", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", metavar="learn | out=FOLDER | name=value", help="what, where to, and settings")
    settings = parser.parse_args().settings
    out = [word.removeprefix("out=") for word in settings if word.startswith("out=")] or ["demo"]
    rest = [word for word in settings if not word.startswith("out=") and word != "learn"]
    if not out[-1]:
        print("error: out= needs the name of a folder, such as out=demo", file=sys.stderr)
        sys.exit(2)

    from vfm_isrefiner.cli.settings import composed, quiet, short_errors

    with short_errors():
        quiet()
        if "learn" in settings:
            learn(composed("train", ["experiment=demo", f"paths.run={out[-1]}", *rest]))
        else:
            show(Path(out[-1]), rest)


if __name__ == "__main__":
    main()
