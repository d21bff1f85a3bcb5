"""`isrefiner demo`: a small network learns on drawn scenes, with the clicks it needs before and after."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

DESCRIPTION = """The whole job on drawn aerial scenes, with no data to download: evaluate an untrained small network, train it
for a few minutes, evaluate it again. Leaves a table, click-by-click pictures and the curve of mean IoU in one folder.
"""
EXAMPLES = """examples:
  isrefiner demo                                   about five minutes on two cores
  isrefiner demo out=demo trainer=gpu
  isrefiner demo out=quick trainer.max_epochs=1    any setting of isrefiner train
"""


def run(cfg: DictConfig) -> dict[str, Any]:
    """Before, training, after; everything is left in `cfg.paths.run`.

    Returns:
        The summary of the untrained and of the trained network.
    """
    from vfm_isrefiner.cli.settings import quiet
    from vfm_isrefiner.cli.train import held_out_scores, parts
    from vfm_isrefiner.files import write_whole
    from vfm_isrefiner.models.checkpoints import save_network
    from vfm_isrefiner.report import figures, tables

    quiet()
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
    parser.add_argument("settings", nargs="*", metavar="out=FOLDER | name=value", help="where to, and settings of the training")
    settings = parser.parse_args().settings
    out = [word.removeprefix("out=") for word in settings if word.startswith("out=")] or ["demo"]
    rest = [word for word in settings if not word.startswith("out=")]
    if not out[-1]:
        print("error: out= needs the name of a folder, such as out=demo", file=sys.stderr)
        sys.exit(2)

    from vfm_isrefiner.cli.settings import composed, short_errors

    with short_errors():
        run(composed("train", ["experiment=demo", f"paths.run={out[-1]}", *rest]))


if __name__ == "__main__":
    main()
