"""Networks whose biases and statistics are not the zeros and ones that they begin with."""

import torch
from torch import nn


def moved(module: nn.Module, seed: int = 0) -> nn.Module:
    """With parameters and statistics away from where they begin, so that no bias or mean is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
        for name, value in module.named_buffers():
            if name.endswith("running_mean"):
                value.copy_(torch.randn(value.shape, generator=generator))
            elif name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return module
