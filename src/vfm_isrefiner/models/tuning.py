"""How much of MFP or SimpleClick learns: all of it, low-rank additions to the ViT's attention, or nothing (Table II)."""

from __future__ import annotations

from torch import nn

from vfm_isrefiner.models.freeze import freeze

TUNINGS = ("full", "lora", "none")
ATTENTION = r".*\.attn\.(qkv|proj)"  # of each block of a timm ViT


def tune(network: nn.Module, tuning: str, rank: int = 16) -> None:
    """Prepare a network whose parameters all learn, after its weights were loaded.

    Args:
        network: its foundation model is `network.vit`.
        tuning: "full" leaves it as it is; "lora" freezes it and adds low-rank matrices to each product of the attention
            (peft; they begin as no change at all); "none" freezes it.
        rank: of the added matrices, 16 in Table II.

    Raises:
        ValueError: another word, or a rank below 1. ImportError: peft is not installed.
    """
    if tuning not in TUNINGS:
        raise ValueError(f"tuning {tuning!r} is unknown; known are {', '.join(TUNINGS)}.")
    if rank < 1:
        raise ValueError(f"lora_rank must be at least 1, got {rank}.")
    if tuning == "full":
        return
    freeze(network)
    if tuning == "lora":
        _add_low_rank(network, rank)


def keep_frozen_in_eval_mode(network: nn.Module) -> None:
    """After `network.train()`: dropout and batch statistics of what does not learn stay as they were."""
    for child in network.children():
        child.eval()


def _add_low_rank(network: nn.Module, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model  # here: seconds to import, and an extra
    except ImportError as error:
        raise ImportError("LoRA needs the package peft: pip install 'vfm-isrefiner[lora]'.") from error
    # no dropout, and scaled by one: the released description gives the rank alone
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=ATTENTION)
    inject_adapter_in_model(config, network.get_submodule("vit"))
