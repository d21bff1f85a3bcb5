"""`isrefiner model`: parameters, trainable parameters and FLOPs of each part of a network."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from vfm_isrefiner.models.build import AnyNetwork

DESCRIPTION = """The parts of a network: parameters, trainable ones, and floating-point operations.

FLOPs are those of the matrix products and convolutions on one image of model.image_size, a multiplication and an
addition counting as two: "per image" is encoded once, "per click" is what every click costs.
"""
EXAMPLES = """examples:
  isrefiner model                                   the paper's network
  isrefiner model model.size=tiny model.use_hq=false
  isrefiner model model=mfp model.image_size=672
"""


def table(network: AnyNetwork, image_size: int) -> list[tuple[str, int, int, int, int]]:
    """(part, parameters, trainable, FLOPs per image, FLOPs per click) of each child of `network`, the whole last."""
    import torch

    from vfm_isrefiner.models.forms import plain_forms
    from vfm_isrefiner.models.freeze import count_parameters

    counts = count_parameters(network)
    # torch's counter hooks into the gradient of whatever could have one, so a copy that cannot is counted
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    image = torch.zeros(1, 3, image_size, image_size)
    zeros = torch.zeros(1, 4, image_size, image_size)
    with torch.no_grad(), plain_forms():  # as the paper writes it, part by part
        features, per_image = _counted(network, lambda: network.encode_image(image))
        _, per_click = _counted(network, lambda: network(features, zeros[:, :2], zeros[:, :1], zeros[:, :1]))
    rows: list[tuple[str, int, int, int, int]] = [
        (name, *counts[name], per_image[name], per_click[name]) for name in counts if name and counts[name][0]
    ]
    # functions called between the parts, such as a projection with a slice of a part's weights
    rest_image, rest_click = per_image[""] - sum(row[3] for row in rows), per_click[""] - sum(row[4] for row in rows)
    if rest_image or rest_click:
        rows.append(("between the parts", 0, 0, rest_image, rest_click))
    return [*rows, ("all", *counts[""], per_image[""], per_click[""])]


def cost_of(network: AnyNetwork, image_size: int) -> dict[str, float]:
    """What Tables III and IV count: parameters and trainable ones, FLOPs of one image and of one click."""
    _, total, trainable, per_image, per_click = table(network, image_size)[-1]
    return {"parameters": total, "trainable": trainable, "flops_per_image": per_image, "flops_per_click": per_click}


def _counted(network: nn.Module, call: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """What `call` gives, and the FLOPs of each child of `network` during it, their sum under ""."""
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    class Call(nn.Module):
        """Names the parts alike, whichever method of the network is called."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self) -> Any:
            return call()

    with FlopCounterMode(display=False) as counter:
        result = Call()()
    flops = {name: sum(kinds.values()) for name, kinds in counter.get_flop_counts().items()}
    parts = {name: _below(f"Call.network.{name}", flops) for name, _ in network.named_children()}
    return result, {"": counter.get_total_flops(), **parts}


def _below(part: str, flops: dict[str, int]) -> int:
    # a part of which only methods or children were called has no entry itself: sum its topmost entries
    names = [name for name in flops if name == part or name.startswith(f"{part}.")]
    return sum(flops[name] for name in names if not any(name.startswith(f"{other}.") for other in names))


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(
        prog="isrefiner model", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="model.name=value", help="settings of the network; see conf/model")
    overrides = parser.parse_args().overrides

    from hydra.utils import instantiate
    from rich.console import Console
    from rich.table import Table

    from vfm_isrefiner.cli.settings import composed, short_errors

    with short_errors():
        cfg = composed("train", overrides)
        network = instantiate(cfg.model)
        rows = table(network, cfg.model.image_size)
    shown = Table(title=f"{type(network).__name__}, {cfg.model.size}, {cfg.model.image_size} px")
    shown.add_column("part", no_wrap=True)
    for column in ("params (M)", "trainable (M)", "GFLOPs/image", "GFLOPs/click"):  # fits into 80 columns
        shown.add_column(column, justify="right")
    for name, total, trainable, per_image, per_click in rows:
        if name == "all":
            shown.add_section()
        shown.add_row(name, *(f"{value:,.2f}" for value in (total / 1e6, trainable / 1e6, per_image / 1e9, per_click / 1e9)))
    Console().print(shown)


if __name__ == "__main__":
    main()
