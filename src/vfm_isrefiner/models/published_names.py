"""Our parameter names beside those of the published checkpoints (VFM-ISRefiner, MFP, SimpleClick): facts, one line each."""

from __future__ import annotations

import re

# (ours, published) prefixes, tried in order; {n} stands for a number. A name is translated by its first match.
_VIT = (
    ("vit.click_embed", "patch_embed_coords.proj"),
    ("vit.vit.patch_embed", "backbone.patch_embed"),
    ("vit.vit.blocks", "backbone.blocks"),
    ("vit.vit.pos_embed", "backbone.pos_embed"),
    ("fpn.scale_4", "neck.down_4"),
    ("fpn.scale_8", "neck.down_8"),
    ("fpn.scale_16", "neck.down_16"),
    ("fpn.scale_32", "neck.down_32"),
)
_CLICK_HEAD = (
    ("head.convs.{n}", "head.convs.{n}.conv"),
    ("head.fusion", "head.fusion_conv.conv"),
    ("classify", "head.conv_seg"),
)
_EXTRACTOR = "click_refiner.exact_image_feature.Exact_Backbone"
_LAYER = "click_refiner.decoder_layers"


def _xception(ours: str, published: str) -> tuple[tuple[str, str], ...]:
    parts = (
        ("depthwise1", "conv3x3_1"),
        ("norm1", "norm1"),
        ("depthwise2", "conv3x3_2"),
        ("pointwise", "conv1x1"),
        ("norm2", "norm2"),
    )
    return tuple((f"{ours}.{a}", f"{published}.{b}") for a, b in parts)


def _attention(ours: str, published: str) -> tuple[tuple[str, str], ...]:
    # torch.nn.MultiheadAttention keeps its packed projection as bare parameters
    return (
        (f"{ours}.in_proj.weight", f"{published}.in_proj_weight"),
        (f"{ours}.in_proj.bias", f"{published}.in_proj_bias"),
        (f"{ours}.out_proj", f"{published}.out_proj"),
    )


_PROBABILITY_FUSION = (
    ("probability_encoder.convs.{n}", "head.conv_prevMod.{n}.conv"),
    *_xception("probability_encoder.xception", "head.conv_prevMod.2"),
    *_xception("late_fusion.{n}", "head.refine_fusion.{n}"),
)
_ADAPTER = (
    ("early_fusion.gate", "gatefusion.gate.0"),
    ("image_extractor.blocks.0.conv", f"{_EXTRACTOR}.0.conv1"),
    ("image_extractor.blocks.{n}.offset", f"{_EXTRACTOR}.{{n}}.offset_conv"),
    ("image_extractor.blocks.{n}.conv", f"{_EXTRACTOR}.{{n}}.deform_conv"),
    ("image_extractor.blocks.{n}.norm", f"{_EXTRACTOR}.{{n}}.bn"),
    ("image_extractor.blocks.{n}.attention.squeeze", f"{_EXTRACTOR}.{{n}}.se.fc.0"),
    ("image_extractor.blocks.{n}.attention.excite", f"{_EXTRACTOR}.{{n}}.se.fc.2"),
    ("image_extractor.blocks.{n}.shortcut", f"{_EXTRACTOR}.{{n}}.shortcut"),
    ("image_extractor.project", "click_refiner.exact_image_feature.final_conv"),
    ("feature_fusion.theta", "click_refiner.cross_feat.theta"),
    *_attention("feature_fusion.early_to_ife", "click_refiner.cross_feat.cross_attn1"),
    *_attention("feature_fusion.ife_to_early", "click_refiner.cross_feat.cross_attn2"),
    ("feature_fusion.norm_early", "click_refiner.cross_feat.norm1"),
    ("feature_fusion.norm_ife", "click_refiner.cross_feat.norm2"),
    ("feature_fusion.upsample", "click_refiner.cross_feat.up_path"),
    ("mask_encoder.convs.{n}", "click_refiner.prev_mask_downscaling.downscale.{n}.conv"),
    *_xception("mask_encoder.xception", "click_refiner.prev_mask_downscaling.downscale.4"),
    ("mask_decoder.mask_token", "mask_token"),
    ("mask_decoder.dense_fusion", "click_refiner.dense_fusion_conv"),
    *_attention("mask_decoder.layers.{n}.token_to_feature", f"{_LAYER}.{{n}}.token_to_image_attn"),
    *_attention("mask_decoder.layers.{n}.self_attention", f"{_LAYER}.{{n}}.self_attn"),
    *_attention("mask_decoder.layers.{n}.feature_to_token", f"{_LAYER}.{{n}}.image_to_token_attn"),
    ("mask_decoder.layers.{n}.norm_cross", f"{_LAYER}.{{n}}.norm1"),
    ("mask_decoder.layers.{n}.norm_self", f"{_LAYER}.{{n}}.norm2"),
    ("mask_decoder.layers.{n}.norm_mlp", f"{_LAYER}.{{n}}.norm3"),
    ("mask_decoder.layers.{n}.norm_feature", f"{_LAYER}.{{n}}.norm4"),
    ("mask_decoder.layers.{n}.mlp.0", f"{_LAYER}.{{n}}.mlp.0"),
    ("mask_decoder.layers.{n}.mlp.2", f"{_LAYER}.{{n}}.mlp.3"),
    *_attention("mask_decoder.final_attention", "click_refiner.final_token_decoder.token_to_image_attn"),
    ("mask_decoder.final_norm", "click_refiner.final_token_decoder.norm"),
    ("mask_decoder.final_mlp.0", "click_refiner.final_token_decoder.mlp.0"),
    ("mask_decoder.final_mlp.2", "click_refiner.final_token_decoder.mlp.3"),
    ("pyramid_fusion.convs.{n}", "click_refiner.multi_scale_fusion.convs.{n}.conv"),
    ("pyramid_fusion.fusion", "click_refiner.multi_scale_fusion.fusion_conv.conv"),
    ("upsample_fused.0", "click_refiner.transposed_conv.t_conv1"),
    ("upsample_fused.1", "click_refiner.transposed_conv.t_conv2"),
    ("dynamic_conv.generator", "click_refiner.dynamic_conv.kernel_mlp"),
)
PREFIXES: dict[str, tuple[tuple[str, str], ...]] = {
    "simpleclick": (*_VIT, *_CLICK_HEAD),
    "mfp": (*_VIT, *_CLICK_HEAD, *_PROBABILITY_FUSION),
    "isrefiner": (*_VIT, *_ADAPTER),
}

# In the published files but in no forward pass: class token, classifier, the head's unused upsampling.
NEVER_RUN = re.compile(r"backbone\.(cls_token|fc_norm\.|head\.)|head\.up_conv[12]\.")


def published_name(kind: str, ours: str) -> str:
    """The published name of our parameter `ours` of a network of `kind`.

    Raises:
        KeyError: the name has no published counterpart.
    """
    for mine, theirs in PREFIXES[kind]:
        pattern = "^" + re.escape(mine).replace(r"\{n\}", r"(\d+)") + r"(?=\.|$)"
        match = re.match(pattern, ours)
        if match:
            number = match.group(1) if match.groups() else ""
            return theirs.replace("{n}", number) + ours[match.end() :]
    raise KeyError(f"{ours} of {kind} has no published name.")
