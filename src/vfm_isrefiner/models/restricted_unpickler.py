"""Reads the tensors of a `.pth` file without running anything else that is pickled in it."""

from __future__ import annotations

import collections
import pickle
import types
from pathlib import Path
from typing import Any

import torch

# All that a state dict needs. Everything else (RITM-style files pickle a loss object and a config) becomes `Inert`.
_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}


class Inert:
    """Stands in for an object of a class that we do not import: takes any arguments and state, and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is not None:
            return allowed
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return getattr(torch, name, None) or getattr(torch.storage, name)
        return Inert


def _load(file: Any, **kwargs: Any) -> Any:
    return _Unpickler(file, **kwargs).load()


# torch.load takes a module-like object with these two names
_PICKLE = types.SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="restricted_unpickler")


def read_tensors(path: Path) -> dict[str, Any]:
    """The top level of a `torch.save` file, tensors on the CPU; foreign objects replaced by `Inert`.

    Raises:
        ValueError: the file is not one that `torch.save` wrote, or is damaged.
    """
    try:
        content = torch.load(path, map_location="cpu", pickle_module=_PICKLE, weights_only=False)
    except OSError:
        raise
    except Exception as error:  # torch and pickle raise many kinds for a damaged file; all mean the same here
        raise ValueError(
            f"{path} cannot be read as a PyTorch checkpoint ({error}); download it again and compare its size."
        ) from error
    if isinstance(content, list) and content:  # RITM's multi-stage files hold a list
        content = content[0]
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected a dict with a state dict; is it a model checkpoint?"
        )
    return content
