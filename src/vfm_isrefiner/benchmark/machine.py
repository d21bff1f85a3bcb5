"""What the numbers were measured on, and how fast that is at its best: the roof of the roofline."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vfm_isrefiner.benchmark.timing import interleaved

PACKAGES = ("vfm-isrefiner", "torch", "timm", "torchvision", "numpy")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """Hardware and versions.

    Attributes:
        processor: its name; threads: those that torch uses. bfloat16: does it multiply such matrices itself.
        gpu: name of the device that was measured, "" on a CPU; gpu_memory: its bytes.
        versions: of Python and of the packages that decide the speed.
    """

    processor: str
    threads: int
    bfloat16: bool
    gpu: str
    gpu_memory: int
    versions: dict[str, str]

    def line(self) -> str:
        """For under a table."""
        where = self.gpu or f"{self.processor}, {self.threads} threads"
        return f"{where}; " + ", ".join(f"{name} {number}" for name, number in self.versions.items())

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def machine(device: torch.device | str = "cpu") -> Machine:
    """This one, `device` being what is measured."""
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    return Machine(
        processor=_cpu_field("model name") or platform.processor() or platform.machine(),
        threads=torch.get_num_threads(),
        bfloat16=on_gpu or multiplies_bfloat16(),
        gpu=torch.cuda.get_device_name(device) if on_gpu else "",
        gpu_memory=torch.cuda.get_device_properties(device).total_memory if on_gpu else 0,
        versions={"Python": ".".join(map(str, sys.version_info[:3])), **{name: version(name) for name in PACKAGES}},
    )


def multiplies_bfloat16() -> bool:
    """Are there instructions for products of bfloat16 matrices? Without them these are several times slower than float32."""
    flags = _cpu_field("flags").split() + _cpu_field("Features").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def _cpu_field(name: str) -> str:
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # no Linux
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


@dataclass(frozen=True)
class Peaks:
    """The best that the machine was seen to do: `flops` floating-point operations and `bytes` read or written, a second."""

    flops: float
    bytes: float

    def floor(self, flops: float, bytes: float) -> float:
        """Seconds that work of so many operations and so many bytes takes at least."""
        return max(flops / self.flops, bytes / self.bytes)


@torch.no_grad()
def measured_peaks(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, repeats: int = 7) -> Peaks:
    """Of a large matrix product in `dtype`, and of a copy of half a gigabyte (a quarter on a CPU)."""
    on_gpu = torch.device(device).type == "cuda"
    side, length = (8192, 1 << 27) if on_gpu else (2048, 1 << 26)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    source = torch.ones(length, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    taken = interleaved(
        {"product": lambda: torch.mm(a, b, out=out), "copy": lambda: target.copy_(source)}, repeats=repeats, device=device
    )
    fastest = {name: min(timing.seconds) for name, timing in taken.items()}
    return Peaks(2 * side**3 / fastest["product"], 2 * 4 * length / fastest["copy"])
