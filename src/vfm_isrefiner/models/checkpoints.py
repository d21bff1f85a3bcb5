"""Fills networks from checkpoints: the published ones by their key layouts, and our own (network_file.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vfm_isrefiner.models.build import AnyNetwork, Dimensions, build_from_config
from vfm_isrefiner.models.freeze import fingerprint, frozen_names
from vfm_isrefiner.models.known_files import located
from vfm_isrefiner.models.network_file import TRAINED_PART, CheckpointError, read_file, save_network
from vfm_isrefiner.models.published_names import NEVER_RUN, PREFIXES, published_name
from vfm_isrefiner.models.restricted_unpickler import read_tensors

__all__ = ["CheckpointError", "load_any", "load_backbone", "load_into", "load_network", "save_network"]

STATE_KEYS = ("state_dict", "model")  # SimpleClick, MFP, VFM-ISRefiner; MAE


def load_network(path: str | Path, *, backbone_checkpoint: str | Path | None = None) -> AnyNetwork:
    """The network of one of our files, or of shipped weights by their name ("default").

    A file that holds only the trained part takes its frozen part from `backbone_checkpoint`.

    Raises:
        CheckpointError: not one of our files, keys that do not fit, or another backbone than it was trained on.
    """
    path = located(path)
    header, state = read_file(path)
    network = build_from_config(json.loads(header["config"]))
    if header["content"] == TRAINED_PART:
        if backbone_checkpoint is None:
            raise CheckpointError(
                f"{path} holds only the trained part; pass backbone_checkpoint= the frozen backbone that it was trained on "
                f"(fingerprint {header['backbone'][:12]})."
            )
        load_backbone(network, Path(backbone_checkpoint))
    _put_ours(network, header, state, path)
    return network.eval()


def load_any(path: str | Path, *, backbone_checkpoint: str | Path | None = None, released: bool = False) -> AnyNetwork:
    """A network from any file that we know: ours, or the authors', MFP's or SimpleClick's `.pth`, told by its keys; or shipped
    weights by their name ("default").

    Sizes are read off the file. `released` builds VFM-ISRefiner as its weights were trained (docs/beware.md); the paper's
    own forward otherwise.
    """
    path = located(path)
    if path.suffix == ".safetensors":
        return load_network(path, backbone_checkpoint=backbone_checkpoint)
    state = _published_state(path)
    kind = _kind_of(state, path)
    arguments: dict[str, Any] = {"kind": kind, "size": dimensions_of(state), **input_of(state)}
    if kind == "isrefiner":
        arguments["released"] = released
    network = build_from_config(arguments)
    fill_from_published(network, state, path)
    return network.eval()


def load_into(network: AnyNetwork, path: Path) -> None:
    """Fill a whole network from one of our files, whole or trained part, or from a published one of its kind.

    Raises:
        CheckpointError: keys or shapes do not fit, or the backbone is another one.
    """
    path = located(path)
    if path.suffix == ".safetensors":
        _put_ours(network, *read_file(path), path)
        return
    state = _published_state(path)
    kind = _kind_of(state, path)
    if kind != network.config["kind"]:
        raise CheckpointError(f"{path} holds a {kind} network, expected {network.config['kind']}; choose model={kind}.")
    fill_from_published(network, state, path)


def load_backbone(network: AnyNetwork, path: Path) -> None:
    """Fill `vit` and `fpn` (and nothing else) from MFP's, SimpleClick's, VFM-ISRefiner's or MAE's file, or from one of ours.

    MAE has the ViT alone: the patch embedding of M and the pyramid keep their fresh weights. SimpleClick has no channel for
    M_mod: its weights go to M_prev and the click maps, and those of M_mod are zero; the other way round they are left out.

    Raises:
        CheckpointError: keys or shapes do not fit.
    """
    path = located(path)
    own = network.state_dict()
    wanted = {name for name in own if name.startswith(("vit.", "fpn."))}
    if path.suffix == ".safetensors":
        header, ours = read_file(path)
        found = {name: ours[name] for name in ours if name.startswith(("vit.", "fpn."))}
        if not found:
            raise CheckpointError(
                f"{path} ({header['content']}) holds no backbone; give a whole file of ours or a published one."
            )
    else:
        state = _published_state(path)
        if "patch_embed.proj.weight" in state:  # MAE: the bare ViT
            state = {f"backbone.{name}": value for name, value in state.items()}
            wanted = {name for name in wanted if name.startswith("vit.vit.")}
        found = _ours_from_published(network.config["kind"], state, wanted)
    _fit_auxiliary(found, own)
    _fit_positions(found, own)
    _check(own, found, wanted, extra=set(), path=path)
    network.load_state_dict({name: found[name] for name in wanted}, strict=False)


def dimensions_of(state: dict[str, Tensor]) -> Dimensions:
    """The sizes of a published state dict, read off its shapes. Heads are of 64 channels, at least four of them."""
    width = state["backbone.patch_embed.proj.weight"].shape[0]
    depth = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("backbone.blocks."))
    pyramid = tuple(state[f"neck.{last}.weight"].shape[0] for last in ("down_4.5", "down_8.2", "down_16.0", "down_32.2"))
    sizes: dict[str, Any] = {"width": width, "depth": depth, "heads": max(4, width // 64), "pyramid": pyramid}
    extractor = "click_refiner.exact_image_feature.Exact_Backbone"
    if f"{extractor}.0.conv1.weight" in state:
        first = state[f"{extractor}.0.conv1.weight"].shape[0]
        sizes["extractor"] = (first, *(state[f"{extractor}.{i}.deform_conv.weight"].shape[0] for i in (1, 2, 3)))
        encoder = "click_refiner.prev_mask_downscaling.downscale"
        sizes["encoder"] = tuple(state[f"{encoder}.{i}.conv.weight"].shape[0] for i in range(4))
    else:
        sizes["head"] = state["head.fusion_conv.conv.weight"].shape[0]
    return Dimensions(patch=state["backbone.patch_embed.proj.weight"].shape[-1], **sizes)


def input_of(state: dict[str, Tensor]) -> dict[str, int]:
    tokens = state["backbone.pos_embed"].shape[1] - 1
    return {"image_size": round(tokens**0.5) * state["backbone.patch_embed.proj.weight"].shape[-1]}


def _put_ours(network: nn.Module, header: dict[str, str], state: Mapping[str, Tensor], path: Path) -> None:
    own = network.state_dict()
    wanted = set(own)
    if header["content"] == TRAINED_PART:
        wanted -= frozen_names(network)
        if header["backbone"] != fingerprint(network):
            raise CheckpointError(
                f"{path} was trained on a backbone with fingerprint {header['backbone'][:12]}, this network's is "
                f"{fingerprint(network)[:12] or 'not frozen'}; load the same backbone checkpoint as in its training."
            )
    _check(own, state, wanted, extra=set(state) - wanted, path=path)
    with torch.no_grad():  # as load_state_dict does, one tensor after the other
        for name in wanted:
            own[name].copy_(state[name])


def _published_state(path: Path) -> dict[str, Tensor]:
    content = read_tensors(path)
    for key in STATE_KEYS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    state = {name.removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(f"{path} holds no tensors under {' or '.join(STATE_KEYS)}; is it a model checkpoint?")
    return state


def _kind_of(state: dict[str, Tensor], path: Path) -> str:
    if any(name.startswith("click_refiner.") for name in state):
        return "isrefiner"
    if any(name.startswith("head.conv_prevMod.") for name in state):
        return "mfp"
    if "head.conv_seg.weight" in state:
        return "simpleclick"
    if "patch_embed.proj.weight" in state:
        raise CheckpointError(f"{path} is a bare ViT (MAE), not a click model; use it as backbone_checkpoint.")
    raise CheckpointError(f"{path} has the keys of none of {', '.join(PREFIXES)}; its first is {next(iter(state))!r}.")


def _ours_from_published(kind: str, state: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    found = {}
    for ours in names:
        theirs = published_name(kind, ours)
        if theirs in state:
            found[ours] = state[theirs]
    return found


def fill_from_published(network: AnyNetwork, state: dict[str, Tensor], path: Path) -> None:
    own, kind = network.state_dict(), network.config["kind"]
    wanted = set(own)
    found = _ours_from_published(kind, state, wanted)
    used = {published_name(kind, name) for name in wanted}
    extra = {name for name in state if name not in used and not NEVER_RUN.match(name)}
    if network.config.get("released"):  # the released forward never runs its dense fusion (docs/beware.md)
        extra = {name for name in extra if not name.startswith("click_refiner.dense_fusion_conv.")}
    _fit_positions(found, own)
    _check(own, found, wanted, extra, path)
    network.load_state_dict(found)


def _fit_positions(found: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Position embeddings of published files begin with the class token, and may be of another grid (MAE: 14x14)."""
    name = "vit.vit.pos_embed"
    if name not in found or name not in own:
        return
    positions, target = found[name], own[name]
    if round(positions.shape[1] ** 0.5) ** 2 == positions.shape[1] - 1:
        positions = positions[:, 1:]
    side, wanted_side = round(positions.shape[1] ** 0.5), round(target.shape[1] ** 0.5)
    if side != wanted_side and wanted_side**2 == target.shape[1]:
        square = positions.transpose(1, 2).unflatten(2, (side, side))
        square = torch.nn.functional.interpolate(square, size=(wanted_side, wanted_side), mode="bicubic", align_corners=False)
        positions = square.flatten(2).transpose(1, 2)
    found[name] = positions


def _fit_auxiliary(found: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    name = "vit.click_embed.weight"
    if name in found and found[name].shape[1] == 3 and own[name].shape[1] == 4:
        prev, clicks = found[name].split([1, 2], 1)
        found[name] = torch.cat([prev, torch.zeros_like(prev), clicks], 1)
    elif name in found and found[name].shape[1] == 4 and own[name].shape[1] == 3:
        prev, _, clicks = found[name].split([1, 1, 2], 1)
        found[name] = torch.cat([prev, clicks], 1)


def _check(own: dict[str, Tensor], found: Mapping[str, Tensor], wanted: set[str], extra: set[str], path: Path) -> None:
    missing = sorted(wanted - set(found))
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(wanted & set(found))
        if found[name].shape != own[name].shape
    ]
    if missing or extra or shapes:
        parts = [("missing", missing), ("extra", sorted(extra)), ("of another shape", shapes)]
        told = "; ".join(
            f"{len(names)} {what}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" for what, names in parts if names
        )
        raise CheckpointError(f"{path} does not fit this network: {told}. Check model, size and options against the file.")
