"""Each part that has a fast form beside its plain one, on inputs of the real shape."""

from __future__ import annotations

import torch

from vfm_isrefiner.benchmark.measure import Measure
from vfm_isrefiner.benchmark.timing import Work, interleaved, ratio
from vfm_isrefiner.models.extract_on_cpu import extract
from vfm_isrefiner.models.forms import plain_forms
from vfm_isrefiner.models.isrefiner import ISRefiner


@torch.no_grad()
def forms(network: ISRefiner, side: int, device: torch.device, *, repeats: int, warm_up: int) -> list[Measure]:
    """A row for each part: seconds of the plain form over those of the fast one, turn by turn."""
    parts, works = _parts(network, side, device), dict[str, Work]()
    for name, work in parts.items():
        works |= {f"{name} plain": plainly(work), f"{name} fast": work}
    taken = interleaved(works, repeats=repeats, warm_up=warm_up, device=device)
    rows = []
    for name in parts:
        plain, quick = taken[f"{name} plain"], taken[f"{name} fast"]
        note = f"{1e3 * plain.median:.3g} ms in its plain form, {1e3 * quick.median:.3g} ms in its fast one"
        rows.append(Measure.of(f"{name}, plain ÷ fast form", ratio(plain, quick), "×", note=note))
    return rows


def _parts(network: ISRefiner, side: int, device: torch.device) -> dict[str, Work]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(1, *shape, generator=generator).to(device)

    tokens, quarter = side // network.vit.patch, 4 * (side // network.vit.patch)
    width = network.vit.width
    deep, image, token = drawn(width, tokens, tokens), drawn(3, side, side), drawn(width // 4)
    pyramid, final = network.fpn(deep), drawn(width // 4, quarter, quarter)

    parts: dict[str, Work] = {
        "mask decoder": lambda: network.mask_decoder(deep, deep),
        "pyramid fusion": lambda: network.pyramid_fusion(pyramid, torch.Size((quarter, quarter))),
        "upsampling and dynamic convolution": lambda: network.read_mask(deep, final, token),
    }
    extractor = network.image_extractor
    if extractor is not None:
        parts = {"image extractor": lambda: extract(extractor, image), **parts}
    return parts


def plainly(work: Work) -> Work:
    """`work` in plain forms."""

    def whole() -> None:
        with plain_forms():
            work()

    return whole
