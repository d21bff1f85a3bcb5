"""Our own file: safetensors with a JSON config in its header; a whole network, or its trained part and a fingerprint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vfm_isrefiner.files import write_whole
from vfm_isrefiner.models.freeze import fingerprint, frozen_names

FULL, TRAINED_PART = "full", "trained_part"


class CheckpointError(ValueError):
    """A checkpoint that does not fit; the message names what is missing, extra or of another shape."""


def save_network(network: nn.Module, path: str | Path, *, only_trained: bool = False, half: bool = False) -> Path:
    """Write one `.safetensors` file: all of the network, or only its trained part and the backbone's fingerprint.

    The file appears under `path` when it is complete; a failure leaves nothing half-written.

    Args:
        half: parameters in float16, half the size; statistics of batch norms stay as they are, and a network that is filled
            from the file computes in float32 as ever.

    Raises:
        CheckpointError: `only_trained` of a network with nothing frozen. OSError: the file could not be written.
    """
    frozen = frozen_names(network)
    if only_trained and not frozen:
        raise CheckpointError(
            "only_trained=True needs a network with a frozen part; this one trains everything: save it whole."
        )
    if only_trained and half:
        raise CheckpointError("half=True is for a whole network; a trained part is small and is kept as it is.")
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    if only_trained:
        state = {name: value for name, value in state.items() if name not in frozen}
    if half:
        state |= {name: state[name].to(torch.float16) for name, _ in network.named_parameters()}
    header = {
        "format": "vfm_isrefiner",
        "content": TRAINED_PART if only_trained else FULL,
        "config": json.dumps(network.config),
        "backbone": fingerprint(network),
    }
    write_whole(Path(path), save(state, metadata=header))
    return Path(path)


@final
class FileTensors(Mapping[str, Tensor]):
    """The tensors of a file, each read when it is asked for: a network and its file need not be in memory together.

    An open file keeps what was read of it mapped, so it is opened for one tensor at a time.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        self._path, self._names, self._state = path, dict.fromkeys(names), _state(path)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self._path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        if _state(self._path) != self._state:
            raise CheckpointError(f"{self._path} was written while it was read; load it again.")
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_file(path: Path) -> tuple[dict[str, str], FileTensors]:
    """Header and tensors of one of our files.

    Raises:
        CheckpointError: it is none.
    """
    must_exist(path)
    try:
        with safe_open(path, framework="pt") as file:
            header, state = file.metadata() or {}, FileTensors(path, list(file.keys()))
    except SafetensorError as error:
        raise CheckpointError(f"{path} cannot be read as safetensors ({error}); copy it again.") from error
    if header.get("format") != "vfm_isrefiner":
        raise CheckpointError(f"{path} is a safetensors file of another program (no vfm_isrefiner header).")
    return header, state


def must_exist(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; docs/checkpoints.md says where each known checkpoint comes from.")
