"""Reference vectors of whole networks: model_* (VFM-ISRefiner, released and paper), mfp_*, simpleclick_*."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from golden_check import Check, Row
from golden_weights import clicks_of_points, filled, reference_state
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.models.build import SIZES as NAMED_SIZES
from vfm_isrefiner.models.build import Dimensions, build_from_config
from vfm_isrefiner.models.checkpoints import dimensions_of, fill_from_published, input_of
from vfm_isrefiner.models.forms import plain_forms
from vfm_isrefiner.models.published_names import published_name
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp, modulate_none
from vfm_isrefiner.rollout import Round

KINDS = {"model": "isrefiner", "mfp": "mfp", "simpleclick": "simpleclick"}
# of vectors that come without a listing: the width-64 networks of the reference (MFP and SimpleClick are 12 blocks deep), ViT-B
SIZES = {"small": Dimensions(64, 4, 4, (32, 64, 128, 256)), "vitb": NAMED_SIZES["paper"]}
MODULATIONS = {"isrefiner": modulate_isrefiner, "mfp": modulate_mfp, "simpleclick": modulate_none}


def _state(path: Path, kind: str, size: int) -> dict[str, Tensor]:
    """The listed state dict beside the vectors; without a listing, our own network of that size under its published names."""
    listings = [path.with_name(f"{stem}_state_dict.json") for stem in (path.stem, path.stem.removeprefix("hidden_"))]
    for listing in listings:
        if listing.is_file():
            return reference_state(listing)
    sizes = [SIZES[word] for word in SIZES if word in path.stem]
    if not sizes:
        raise FileNotFoundError(f"{listings[0].name} must lie beside {path.name}: it lists the parameters to fill.")
    depth = {"depth": 12} if kind != "isrefiner" else {}
    network = build_from_config({"kind": kind, "size": replace(sizes[0], **depth), "image_size": size})
    state = {}
    for ours, value in network.state_dict().items():
        theirs, shape = published_name(kind, ours), list(value.shape)
        if theirs == "backbone.pos_embed":
            shape[1] += 1  # the published one begins with the class token
        state[theirs] = filled(theirs, shape)
    return state


def _network(state: dict[str, Tensor], kind: str, variant: str) -> nn.Module:
    arguments = {"kind": kind, "size": dimensions_of(state), **input_of(state)}
    if kind == "isrefiner":
        arguments["released"] = variant == "released"
    network = build_from_config(arguments)
    fill_from_published(network, state, Path("reference weights"))
    network.normalise.channel_order = "rgb"  # the vectors' images went in as they are
    return network.eval()


def _logits(network: nn.Module, kind: str, image: Tensor, points: np.ndarray, prev_prob: Tensor, shift: float) -> Tensor:
    """What the released code returns for these inputs: two passes where there is no previous probability.

    Args:
        shift: p_u is greater by this share of it.
    """

    def modulation(prob: Tensor, clicks: Clicks) -> Tensor:
        return MODULATIONS[kind](_shifted(prob, clicks, shift) if shift else prob, clicks)

    passes = 1 if kind == "simpleclick" else 2
    play = Round(network, modulation, first_click_passes=passes)
    features, flipped = play.encode(image)
    return play.logits(features, flipped, clicks_of_points(points), prev_prob)


def _shifted(prob: Tensor, clicks: Clicks, shift: float) -> Tensor:
    row, column = clicks.latest()[0].long().unbind(1)
    prob = prob.clone()
    prob[torch.arange(len(prob)), 0, row, column] *= 1 + shift
    return prob


# Eq. 9 keeps the pixels on one side of p_u. In the vectors of ViT-B two lie within 1e-4 of it, the rounding of logits of
# 40, so that the CPU decides on which side: with a p_u that much nearer or farther one arithmetic keeps what another does.
SHIFTS = (0.0, 1e-4, -1e-4, 3e-5, -3e-5)


def _run(path: Path) -> Row:
    kind = KINDS[path.stem.removeprefix("hidden_").split("_")[0]]
    absolute = 1e-3 if "vitb" in path.stem else 1e-4
    worst, cases, note = 0.0, 0, ""
    # Eq. 9 compares probabilities with p_u itself: at logits of 40 the rounding (1e-4) of the fused CPU attention and of our
    # fast forms can move a pixel over that edge, so the vectors are checked in the plain arithmetic that made them.
    with np.load(path) as vectors, torch.no_grad(), sdpa_kernel(SDPBackend.MATH), plain_forms():
        image = torch.from_numpy(vectors["image_uint8"])
        state = _state(path, kind, image.shape[-1])
        prev_prob = torch.from_numpy(vectors["prev_prob"].astype(np.float32))
        for variant in ("released", "paper") if kind == "isrefiner" else ("",):
            network = _network(state, kind, variant)
            for name, prev in (("first", torch.zeros_like(prev_prob)), ("third", prev_prob)):
                key = ".".join(filter(None, (variant, f"logits_{name}")))
                expected = torch.from_numpy(vectors[key])
                cases += 1
                for shift in SHIFTS if "vitb" in path.stem else SHIFTS[:1]:
                    got = _logits(network, kind, image, vectors[f"points_{name}"], prev, shift)
                    # the tolerance is absolute plus 1e-3 relative; 1 and more means outside
                    share = ((got - expected).abs() / (absolute + 1e-3 * expected.abs())).max().item()
                    share = float("inf") if share != share else share
                    if share <= 1:
                        break
                if share > worst:
                    worst, note = share, f"{key}, largest difference {(got - expected).abs().max():.1e}"
    tolerance = f"{absolute:.0e} + 1e-3 rel"
    return Row(path.name, cases, worst * absolute, tolerance, worst <= 1, note)


CHECKS = (Check("networks", r"(model|mfp|simpleclick)_.+", _run),)
