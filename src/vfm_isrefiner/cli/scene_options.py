"""What `isrefiner predict` and `isrefiner annotate` both ask: the network, the bands of the scene, the windows."""

from __future__ import annotations

import argparse


def add_network(to: argparse.ArgumentParser) -> None:
    """--checkpoint, --backbone-checkpoint, --released, --device, --precision."""
    add = to.add_argument
    network = (
        "the network: of isrefiner train, a published one, or a name of isrefiner checkpoints (default: %(default)s, "
        "whose weights are for non-commercial use)"
    )
    add("--checkpoint", default="default", metavar="FILE", help=network)
    add("--backbone-checkpoint", metavar="FILE", help="the frozen backbone of a checkpoint of the trained part alone")
    add("--released", action="store_true", help="play as the released checkpoints were")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    add("--precision", default="float32", choices=("float32", "bf16"), help="of the network (default: %(default)s)")


def add_scene(to: argparse.ArgumentParser) -> None:
    """--bands, --stretch, --window, --max-window."""
    add = to.add_argument
    add("--bands", type=_bands, metavar="R,G,B", help="bands that the network sees, from 1 (default: the scene's colours)")
    stretches = ("auto", "none", "minmax", "percentile")
    add("--stretch", default="auto", choices=stretches, help="of values to 8 bits (default: %(default)s)")
    add("--window", type=int, default=512, metavar="PX", help="smallest window round an object (default: %(default)s)")
    add("--max-window", type=int, default=2048, metavar="PX", help="largest one (default: %(default)s)")


def _bands(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"three numbers such as 4,3,2 were expected, got {text!r}") from error
