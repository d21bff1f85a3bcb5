"""The training loss: normalised focal loss (protocol section 3.3); and its form for distillation, which is not the paper's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-12  # of the published loss; part of its value for very wrong pixels


def normalized_focal_loss(logits: Tensor, mask: Tensor, ignore: Tensor, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    """Focal loss whose weights are rescaled to sum to the number of counted pixels, so that it does not fade as pixels improve.

    With p_t the probability of the true class and β = (1 - p_t)^γ · N / Σ(1 - p_t)^γ (the rescaling taken as a constant),
    loss = -1/N · Σ α_t β log(p_t) over the N counted pixels. Computed in float32, whatever the type of the logits.

    Args:
        logits: (B, 1, H, W) float.
        mask, ignore: (B, 1, H, W) bool: the object, and the pixels that do not count.
        alpha: weight of object pixels; background pixels weigh 1 - alpha.
        gamma: focusing exponent, at least 0.

    Returns:
        (B,) float32, one loss a sample; 0 with a zero gradient for a sample whose pixels are all ignored.

    Raises:
        ValueError: shapes differ or the masks are not bool.
    """
    if mask.dtype != torch.bool or ignore.dtype != torch.bool or not logits.shape == mask.shape == ignore.shape:
        raise ValueError(
            "normalized_focal_loss needs logits and bool masks of one shape, got logits "
            f"{tuple(logits.shape)}, mask {mask.dtype} {tuple(mask.shape)}, ignore {ignore.dtype} {tuple(ignore.shape)}."
        )
    mask, counted = mask.flatten(1), ~ignore.flatten(1)
    logits = torch.where(counted, logits.flatten(1).float(), 0.0)
    of_truth = torch.where(mask, logits, -logits)
    p_truth, p_other = of_truth.sigmoid(), (-of_truth).sigmoid()  # both kept precise near 0
    pixels = counted.sum(1)

    focus = torch.where(counted, p_other**gamma, 0.0)
    rescale = (pixels / (focus.sum(1) + EPSILON)).detach()
    weight = torch.where(mask, alpha, 1 - alpha)
    surprise = -(p_truth + EPSILON).clamp(max=1.0).log()
    return (weight * focus * surprise).sum(1) * rescale / pixels.clamp(min=1)


def focal_divergence(logits: Tensor, prob: Tensor, ignore: Tensor, gamma: float = 2.0) -> Tensor:
    """`normalized_focal_loss` with another network's probabilities in the place of the mask, for distillation.

    With p the predicted probability, q the other's, and β = |q - p|^γ · N / Σ|q - p|^γ (the rescaling taken as a constant),
    divergence = 1/(2N) · Σ β KL(q ‖ p) over the N counted pixels. Where q is 0 or 1 everywhere, it is the focal loss of that
    mask with α = 0.5; where p = q, it is 0. Computed in float32.

    Args:
        logits: (B, 1, H, W) float.
        prob: (B, 1, H, W) in [0, 1], without gradient.
        ignore: (B, 1, H, W) bool: pixels that do not count.
        gamma: focusing exponent, at least 0.

    Returns:
        (B,) float32; 0 with a zero gradient for a sample whose pixels are all ignored.

    Raises:
        ValueError: shapes differ.
    """
    if not logits.shape == prob.shape == ignore.shape:
        raise ValueError(
            f"focal_divergence needs one shape, got logits {tuple(logits.shape)}, prob {tuple(prob.shape)}, "
            f"ignore {tuple(ignore.shape)}."
        )
    counted = ~ignore.flatten(1)
    logits = torch.where(counted, logits.flatten(1).float(), 0.0)
    prob = torch.where(counted, prob.flatten(1).float(), 0.5)  # of logits 0: nothing between them
    pixels = counted.sum(1)

    focus = torch.where(counted, (prob - logits.sigmoid()).abs() ** gamma, 0.0)
    rescale = (pixels / (focus.sum(1) + EPSILON)).detach()
    entropy = -(torch.xlogy(prob, prob) + torch.xlogy(1 - prob, 1 - prob))
    divergence = nn.functional.binary_cross_entropy_with_logits(logits, prob, reduction="none") - entropy
    return 0.5 * (focus * divergence).sum(1) * rescale / pixels.clamp(min=1)
