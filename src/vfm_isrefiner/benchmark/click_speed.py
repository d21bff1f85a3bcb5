"""One click beside a plain forward of the same ViT, on the same machine in the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vfm_isrefiner.benchmark.forms_speed import plainly
from vfm_isrefiner.benchmark.machine import Peaks
from vfm_isrefiner.benchmark.measure import Measure, Target
from vfm_isrefiner.benchmark.timing import Timing, Work, interleaved, ratio, total
from vfm_isrefiner.click_simulation import next_click
from vfm_isrefiner.clicks import NEGATIVE, POSITIVE, Clicks
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.inference import Inference
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.rollout import Network, Round

LATER, FIRST, BF16, SIMULATION = Target(1.45), Target(1.9), Target(1.0), Target(2)
MILLISECONDS_ON_A_GPU = Target(5)
PIXEL_STEP = 37  # clicks lie that far apart, wrapped round the image


def plain_vit(network: AnyNetwork) -> VisionTransformer:
    """What a click is compared with: timm's own ViT of the same width, depth, patch and input, untrained, without a head."""
    vit = network.vit.vit
    depth, heads = len(vit.blocks), cast(Any, vit.blocks[0]).attn.num_heads
    side, patch = network.config["image_size"], network.vit.patch
    made = VisionTransformer(side, patch, embed_dim=network.vit.width, depth=depth, num_heads=heads, num_classes=0)
    return made.eval().requires_grad_(False)


@final
@dataclass(frozen=True)
class Scene:
    """What a network is shown: tensors of the sizes that matter, and made-up contents, which cost the same as real ones.

    Attributes:
        image: (B, 3, S, S) float in [0, 1]. prob: (B, 1, S, S), that of an earlier click. mask: (B, 1, S, S) bool, a square.
        clicks: of each object, the newest last.
    """

    image: Tensor
    prob: Tensor
    mask: Tensor
    clicks: Clicks

    @staticmethod
    def made(side: int, batch: int = 1, clicks: int = 3, device: torch.device | str = "cpu") -> Scene:
        """`clicks` clicks on each of `batch` objects, positive and negative by turns."""
        generator = torch.Generator().manual_seed(0)
        image, prob = (torch.rand(batch, channels, side, side, generator=generator) for channels in (3, 1))
        mask = torch.zeros(batch, 1, side, side, dtype=torch.bool)
        mask[..., side // 4 : side // 2, side // 4 : side // 2] = True
        number = torch.arange(clicks)
        yx = torch.stack([PIXEL_STEP * (number + 1) % side, 2 * PIXEL_STEP * (number + 1) % side], -1).float()
        label = torch.where(number % 2 == 0, POSITIVE, NEGATIVE).to(torch.int8)
        made = Clicks(yx.expand(batch, -1, -1).contiguous(), label.expand(batch, -1).contiguous())
        return Scene(image.to(device), prob.to(device), mask.to(device), made.to(device))


@final
class Played:
    """The work of a click, part by part, of one network on one scene; call it without gradient."""

    def __init__(self, network: AnyNetwork | Inference, modulation: Modulation, scene: Scene) -> None:
        self.round = Round(cast(Network, network), modulation)
        self.modulation, self.scene = modulation, scene
        self.features: ImageFeatures = self.round.encode(scene.image)[0]
        self.ignore = torch.zeros_like(scene.mask)

    def encode(self) -> None:
        """What the first click on an image costs more than a later one."""
        self.features = self.round.encode(self.scene.image)[0]

    def later(self) -> Tensor:
        """A click on encoded features: click maps, modulation, network, probability."""
        return self.round.logits(self.features, None, self.scene.clicks, self.scene.prob).sigmoid()

    def modulate(self) -> Tensor:
        """The modulation of a click alone."""
        return self.modulation(self.scene.prob, self.scene.clicks)

    def simulate(self) -> tuple[Tensor, Tensor]:
        """The simulated click of an evaluation alone."""
        return next_click(self.scene.prob > 0.5, self.scene.mask, self.ignore, self.scene.clicks)


@torch.no_grad()
def beside_plain(
    networks: Mapping[str, tuple[AnyNetwork | Inference, Modulation]],
    plain: nn.Module,
    side: int,
    device: torch.device,
    *,
    repeats: int,
    warm_up: int,
) -> dict[str, Timing]:
    """Seconds of everything, in turn: "plain", and for each network NAME "NAME later" and "NAME encode".

    The first network also gives "plain forms later", "plain forms encode", "modulate" and "simulate".
    """
    scene = Scene.made(side, device=device)
    works: dict[str, Work] = {"plain": lambda: plain(scene.image)}
    for number, (name, (network, modulation)) in enumerate(networks.items()):
        played = Played(network, modulation, scene)
        works |= {f"{name} later": played.later, f"{name} encode": played.encode}
        if number == 0:
            works |= {"plain forms later": plainly(played.later), "plain forms encode": plainly(played.encode)}
            works |= {"modulate": played.modulate, "simulate": played.simulate}
    return interleaved(works, repeats=repeats, warm_up=warm_up, device=device)


def measures(
    taken: Mapping[str, Timing], names: Sequence[str], device: torch.device, *, bf16: bool, compiled: bool, targets: bool
) -> list[Measure]:
    """The rows of the table; `names` of the networks, the one that the targets are for first, if `targets`."""
    ours, plain = names[0], taken["plain"]
    later = taken[f"{ours} later"]
    on_cpu = device.type == "cpu"
    later_target = (BF16 if bf16 else LATER) if targets and on_cpu else None
    first_target = FIRST if targets and on_cpu and not bf16 else None
    share_target = SIMULATION if targets else None
    milliseconds = MILLISECONDS_ON_A_GPU if targets and not on_cpu and bf16 and compiled else None
    rows = [
        Measure.of("plain ViT", plain, "ms", scale=1e3, note="timm's VisionTransformer of the same size, float32, one image"),
        Measure.of(f"{ours}, later click", ratio(later, plain), "× plain ViT", later_target),
        Measure.of(f"{ours}, first click", ratio(total(later, taken[f"{ours} encode"]), plain), "× plain ViT", first_target),
    ]
    forms, encode = taken["plain forms later"], taken["plain forms encode"]
    rows += [
        Measure.of("plain forms, later click", ratio(forms, plain), "× plain ViT", note="the same network, parts as the paper"),
        Measure.of("plain forms, first click", ratio(total(forms, encode), plain), "× plain ViT"),
    ]
    for name in names[1:]:
        rows.append(Measure.of(f"{name}, later click", ratio(taken[f"{name} later"], plain), "× plain ViT"))
        whole = total(taken[f"{name} later"], taken[f"{name} encode"])
        rows.append(Measure.of(f"{name}, first click", ratio(whole, plain), "× plain ViT"))
    share = ratio(total(taken["modulate"], taken["simulate"]), later)
    rows.append(Measure.of("modulation and click simulation", share, "% of a later click", share_target, scale=100))
    rows.append(Measure.of(f"{ours}, later click", later, "ms", milliseconds, scale=1e3))
    return rows


def roofline(flops: float, parameters: float, seconds: float, peaks: Peaks, width: int) -> list[Measure]:
    """How near a later click is to what the machine can do.

    Args:
        flops: of one click. parameters: that are read once for it. width: bytes of one of them.
        seconds: that it took.
    """
    least = peaks.floor(flops, parameters * width)
    note = (
        f"{flops / 1e9:.0f} GFLOPs in the fast forms and {parameters * width / 1e6:.0f} MB, all weights; the machine's best is "
        f"{peaks.flops / 1e9:.0f} GFLOPs/s (matrix product) and {peaks.bytes / 1e9:.1f} GB/s (copy)"
    )
    return [
        Measure("floor of a later click", 1e3 * least, "ms", note=note),
        Measure("share of the floor reached", 100 * least / seconds, "%"),
    ]
