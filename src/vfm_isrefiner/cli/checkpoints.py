"""`isrefiner checkpoints`: which weights there are, what a file holds, and published files as one of ours."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """Weights that ship with the package and go by a name, and published ones that you fetch from their publishers
(nothing is downloaded): what they are, on which terms, and how they are used. docs/checkpoints.md tells more."""
EXAMPLES = """
examples:
  isrefiner checkpoints                                    the list
  isrefiner checkpoints show default                       what a file holds: network, size, checksum
  isrefiner checkpoints show MFP_vit_base_cocolvis.pth
  isrefiner checkpoints convert VFM-ISRefiner_ViT_base448_RSImage.pth isrefiner.safetensors --released --half
"""


def listed() -> str:
    """All known files."""
    from vfm_isrefiner.models.known_files import ALIASES, PUBLISHED, SHIPPED

    lines = ["Shipped, by name (" + ", ".join(f"{name} is {known}" for name, known in ALIASES.items()) + "):"]
    for title, files in (("", SHIPPED), ("\nPublished by others; fetch the file and give its path:", PUBLISHED)):
        lines += [title] if title else []
        for known in files:
            lines += [f"  {known.name}", f"      {known.what}", f"      from: {known.source}; terms: {known.terms}"]
            lines += [f"      isrefiner {known.use}"]
    return "\n".join(lines)


def shown(path: str, released: bool, backbone: str | None) -> str:
    """What one file holds.

    Raises:
        CheckpointError: no such file, or none that is known.
    """
    from vfm_isrefiner.files import sha256
    from vfm_isrefiner.models.checkpoints import load_any
    from vfm_isrefiner.models.freeze import count_parameters
    from vfm_isrefiner.models.known_files import located, terms_of

    file = located(path)
    network = load_any(path, released=released, backbone_checkpoint=backbone)
    total, trained = count_parameters(network)[""]
    lines = [f"{file}", f"  {file.stat().st_size / 2**20:.1f} MiB, sha256 {sha256(file)}"]
    lines += [f"  {total / 1e6:.1f} M parameters, {trained / 1e6:.1f} M of them trained"]
    lines += [f"  {name}: {_short(value)}" for name, value in network.config.items() if value is not None]
    if terms := terms_of(path):
        lines += [f"  {terms}"]
    return "\n".join(lines)


def converted(path: str, out: Path, *, released: bool, backbone: str | None, half: bool) -> str:
    """Write any known file as one of ours, whole.

    Raises:
        CheckpointError: no such file, or none that is known. ValueError: `out` is not to be written.
    """
    from vfm_isrefiner.models.checkpoints import load_any, save_network

    if out.suffix != ".safetensors":
        raise ValueError(f"{out}: our files end in .safetensors.")
    if out.exists():
        raise ValueError(f"{out} is there already; choose another name, or remove it first.")
    network = load_any(path, released=released, backbone_checkpoint=backbone)
    network.config = {**network.config, "backbone_checkpoint": None, "checkpoint": None}
    save_network(network, out, half=half)
    return f"{out}: {out.stat().st_size / 2**20:.1f} MiB; the terms of {path} hold for it too"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 90 else f"{text[:87]}..."


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="isrefiner checkpoints",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="all known files")
    show = commands.add_parser("show", help="what a file holds")
    convert = commands.add_parser("convert", help="a known file as one of ours, whole")
    for command in (show, convert):
        command.add_argument("file", metavar="FILE", help="a file, or the name of shipped weights")
        command.add_argument("--released", action="store_true", help="play the authors' weights as they were trained")
        command.add_argument("--backbone-checkpoint", metavar="FILE", help="the backbone of a file of the trained part alone")
    convert.add_argument("out", type=Path, metavar="OUT.safetensors")
    convert.add_argument("--half", action="store_true", help="parameters in float16: half the size")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    args = parser().parse_args(words)
    from vfm_isrefiner.cli.settings import short_errors

    with short_errors():
        if args.command == "show":
            print(shown(args.file, args.released, args.backbone_checkpoint))
        elif args.command == "convert":
            print(converted(args.file, args.out, released=args.released, backbone=args.backbone_checkpoint, half=args.half))
        else:
            print(listed())


if __name__ == "__main__":
    main()
