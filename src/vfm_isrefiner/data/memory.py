"""How much memory there is to use, on a device and of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import torch

CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
CACHE_PART, CACHE_LIMIT = 1 / 4, 16 * 2**30


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroups: tuple[tuple[str, str], ...] = CGROUPS) -> int:
    """Bytes that this process may still take, also within a container's limit."""
    free = []
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free.append(int(fields["MemAvailable"].split()[0]) * 1024)
    else:
        free.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    for limit, used in cgroups:
        if Path(limit).is_file() and Path(used).is_file():
            most = Path(limit).read_text().strip()
            if most != "max":
                free.append(int(most) - int(Path(used).read_text()))
    return max(0, min(free))


def cache_bytes(processes: int = 1) -> int:
    """Default budget of decoded images of each of `processes` training processes: a quarter of the memory that is available, 16
    GiB at most, divided among them.
    """
    return int(min(available_memory() * CACHE_PART, CACHE_LIMIT)) // max(1, processes)


def free_memory(device: torch.device) -> int:
    """Bytes that tensors on `device` may still take."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
