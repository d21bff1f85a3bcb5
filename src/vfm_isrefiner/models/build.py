"""Builds the networks of the comparison from plain arguments: the only place that knows sizes by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import timm
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vfm_isrefiner.models.early_fusion import FixedFusion, GatedFusion
from vfm_isrefiner.models.feature_fusion import FeatureFusion
from vfm_isrefiner.models.freeze import frozen_names
from vfm_isrefiner.models.image_extractor import ImageExtractor
from vfm_isrefiner.models.isrefiner import ISRefiner
from vfm_isrefiner.models.mask_decoder import MaskDecoder
from vfm_isrefiner.models.mask_encoder import MaskEncoder
from vfm_isrefiner.models.mfp import MFP
from vfm_isrefiner.models.normalise import Normalise
from vfm_isrefiner.models.pyramid_fusion import PyramidFusion
from vfm_isrefiner.models.simple_fpn import SimpleFPN
from vfm_isrefiner.models.simpleclick import SimpleClick
from vfm_isrefiner.models.tuning import tune
from vfm_isrefiner.models.vit import ViT

AnyNetwork = ISRefiner | MFP | SimpleClick
N = TypeVar("N", ISRefiner, MFP, SimpleClick)


@dataclass(frozen=True)
class Dimensions:
    """Widths and depths of one size. `pyramid` are SimpleFPN's four widths, `extractor` and `encoder` the channels of the
    image extractor's and the mask encoder's four stages, `head` the width of MFP's and SimpleClick's heads."""

    width: int
    depth: int
    heads: int
    pyramid: tuple[int, int, int, int]
    extractor: tuple[int, int, int, int] = (64, 128, 256, 512)
    encoder: tuple[int, int, int, int] = (64, 128, 256, 512)
    decoder_heads: int = 8
    head: int = 256
    patch: int = 16


SIZES = {
    "paper": Dimensions(768, 12, 12, (128, 256, 512, 1024)),
    "small": Dimensions(384, 12, 6, (64, 128, 256, 512), (48, 96, 192, 384), (48, 96, 192, 384)),
    "tiny": Dimensions(192, 12, 3, (32, 64, 128, 256), (32, 64, 128, 256), (32, 64, 128, 256), head=128),
    "test": Dimensions(64, 4, 4, (16, 32, 64, 128), (8, 16, 32, 64), (8, 16, 32, 64), head=32),
}
OF_USE = ("score_calibration", "input_size")  # what a config says for the predictor, not of the network itself
EARLY_FUSIONS = ("gated", "fixed", "first", "second")


def build_isrefiner(
    size: str | Dimensions = "paper",
    *,
    image_size: int = 448,
    early_fusion: str = "gated",
    theta: str | float = "learnable",
    use_vit: bool = True,
    use_hq: bool = True,
    attention: str = "global",
    released: bool = False,
    backbone: str | None = None,
    backbone_checkpoint: str | Path | None = None,
    checkpoint: str | Path | None = None,
    train_backbone: bool = False,
) -> ISRefiner:
    """VFM-ISRefiner (Fig. 2).

    Args:
        size: "paper" (ViT-B), "small" (ViT-S), "tiny" (ViT-Ti), "test" (width 64), or `Dimensions`.
        image_size: side of the square input in pixels that the position embedding is made for; others are interpolated.
        early_fusion: "gated" (eq. 1), "fixed", "first" or "second" (Table VII).
        theta: "learnable" (per channel), "learnable_scalar" or a fixed number (eq. 2, Table VI).
        use_vit, use_hq: F_ViT^N into the dense fusion, F_HQ into the sum of eq. 5 (Table V).
        attention: "global", or "windowed" for a backbone of MFP or SimpleClick.
        released: the forward of the authors' published weights: BGR input, F_mask alone into the decoder, scrambled
            reshape (docs/beware.md). Play it with two passes on the first click.
        backbone: name of any timm ViT instead of the plain one of `size`; its width and depth then hold.
        backbone_checkpoint: MFP's, SimpleClick's or MAE's file, or one of ours, for the frozen part.
        checkpoint: a whole network to start from (the authors' file or one of ours); `backbone_checkpoint`, where it is given
            too, takes the place of its frozen part.
        train_backbone: train the foundation model too (a first stage; not the paper's).

    Raises:
        ValueError: an argument outside these choices.
    """
    config = _config("isrefiner", locals())
    dims, vit = _vit(size, backbone, image_size, auxiliary=4, attention=attention)
    hq = use_hq
    network = ISRefiner(
        vit=vit,
        fpn=SimpleFPN(vit.width, dims.pyramid),
        early_fusion=_early_fusion(early_fusion, vit.width),
        image_extractor=ImageExtractor(vit.width, dims.extractor) if hq else None,
        feature_fusion=FeatureFusion(vit.width, dims.decoder_heads, theta) if hq else None,
        mask_encoder=MaskEncoder(vit.width, dims.encoder),
        mask_decoder=MaskDecoder(vit.width, dims.decoder_heads, use_vit=use_vit and not released),
        pyramid_fusion=PyramidFusion(dims.pyramid, vit.width // 4),
        normalise=Normalise("bgr" if released else "rgb"),
        train_backbone=train_backbone,
        scrambled_reshape=released,
        config=config,
    )
    return _loaded(network, backbone_checkpoint, checkpoint)


def build_mfp(
    size: str | Dimensions = "paper",
    *,
    image_size: int = 448,
    attention: str = "windowed",
    backbone: str | None = None,
    backbone_checkpoint: str | Path | None = None,
    checkpoint: str | Path | None = None,
    tuning: str = "full",
    lora_rank: int = 16,
) -> MFP:
    """MFP; arguments as in `build_isrefiner`. Every parameter trains, or what `tuning` leaves to train (Table II, `tune`)."""
    config = _config("mfp", locals())
    dims, vit = _vit(size, backbone, image_size, auxiliary=4, attention=attention)
    fpn, head = SimpleFPN(vit.width, dims.pyramid), PyramidFusion(dims.pyramid, dims.head)
    network = MFP(vit=vit, fpn=fpn, head=head, normalise=Normalise(), config=config, frozen=tuning != "full")
    _loaded(network, backbone_checkpoint, checkpoint)
    tune(network, tuning, lora_rank)
    return network


def build_simpleclick(
    size: str | Dimensions = "paper",
    *,
    image_size: int = 448,
    attention: str = "windowed",
    backbone: str | None = None,
    backbone_checkpoint: str | Path | None = None,
    checkpoint: str | Path | None = None,
    tuning: str = "full",
    lora_rank: int = 16,
) -> SimpleClick:
    """SimpleClick; arguments as in `build_mfp`."""
    config = _config("simpleclick", locals())
    dims, vit = _vit(size, backbone, image_size, auxiliary=3, attention=attention)
    fpn, head = SimpleFPN(vit.width, dims.pyramid), PyramidFusion(dims.pyramid, dims.head)
    network = SimpleClick(vit=vit, fpn=fpn, head=head, normalise=Normalise(), config=config, frozen=tuning != "full")
    _loaded(network, backbone_checkpoint, checkpoint)
    tune(network, tuning, lora_rank)
    return network


BUILDERS: dict[str, Callable[..., AnyNetwork]] = {
    "isrefiner": build_isrefiner,
    "mfp": build_mfp,
    "simpleclick": build_simpleclick,
}


def build_from_config(config: dict[str, Any]) -> AnyNetwork:
    """The network that `network.config` describes, with fresh weights.

    Raises:
        ValueError: an unknown kind of network.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    of_use = {name: arguments.pop(name) for name in OF_USE if name in arguments}
    if kind not in BUILDERS:
        raise ValueError(f"network kind {kind!r} is unknown; known are {', '.join(BUILDERS)}.")
    if isinstance(arguments.get("size"), dict):
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in arguments["size"].items()
        }
        arguments["size"] = Dimensions(**fields)
    network = BUILDERS[kind](**arguments)
    network.config |= of_use
    return network


def _config(kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as plain JSON values, without paths: weights are in the file that carries this config."""
    plain = {name: value for name, value in arguments.items() if name not in ("backbone_checkpoint", "checkpoint")}
    if isinstance(plain["size"], Dimensions):
        plain["size"] = asdict(plain["size"])
    return {"kind": kind, **plain}


def _dimensions(size: str | Dimensions) -> Dimensions:
    if isinstance(size, Dimensions):
        return size
    if size not in SIZES:
        raise ValueError(f"size {size!r} is unknown; known sizes are {', '.join(SIZES)}.")
    return SIZES[size]


def _vit(
    size: str | Dimensions, backbone: str | None, image_size: int, *, auxiliary: int, attention: str
) -> tuple[Dimensions, ViT]:
    dims = _dimensions(size)
    if backbone is None:
        plain = VisionTransformer(
            img_size=image_size,
            patch_size=dims.patch,
            embed_dim=dims.width,
            depth=dims.depth,
            num_heads=dims.heads,
            num_classes=0,
        )
        return dims, ViT(plain, auxiliary=auxiliary, attention=attention)
    if not timm.is_model(backbone):
        raise ValueError(f"backbone {backbone!r} is not a timm model; `timm.list_models('*vit*')` lists the names.")
    vit: nn.Module | None
    try:
        vit = timm.create_model(backbone, pretrained=False, num_classes=0, img_size=image_size)
    except TypeError:  # the model takes no img_size: a convolutional network
        vit = None
    if not isinstance(vit, VisionTransformer | Eva):
        raise ValueError(
            f"backbone {backbone!r} is not a plain ViT; take one of timm's vit_*, deit_*, eva02_* or dinov2/dinov3 ViTs."
        )
    return dims, ViT(vit, auxiliary=auxiliary, attention=attention, prefix_tokens=True, final_norm=True)


def _early_fusion(name: str, width: int) -> nn.Module:
    if name not in EARLY_FUSIONS:
        raise ValueError(f"early_fusion {name!r} is unknown; known are {', '.join(EARLY_FUSIONS)}.")
    return GatedFusion(width) if name == "gated" else FixedFusion({"fixed": 0.5, "first": 1.0, "second": 0.0}[name])


def _loaded(network: N, backbone_checkpoint: str | Path | None, checkpoint: str | Path | None) -> N:
    from vfm_isrefiner.models import checkpoints  # here, because reading a file of ours builds a network

    if backbone_checkpoint is not None:
        checkpoints.load_backbone(network, Path(backbone_checkpoint))
    if checkpoint is not None:
        checkpoints.load_into(network, Path(checkpoint))  # of a trained part alone: behind the backbone that it was trained on
    if backbone_checkpoint is not None and checkpoint is not None and frozen_names(network):
        # a whole checkpoint has put in a backbone of its own; where the backbone is trained, that is the newer one
        checkpoints.load_backbone(network, Path(backbone_checkpoint))
    return network
