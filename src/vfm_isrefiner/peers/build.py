"""The peers that the command line can name: the isegm family, the SAM family, and any other program."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vfm_isrefiner.files import sha256
from vfm_isrefiner.peers.peer import Peer
from vfm_isrefiner.peers.process import PeerError, PeerProcess

HERE = Path(__file__).resolve().parent
BRIDGE, ISEGM, SAM = HERE / "bridge.py", HERE / "play_isegm.py", HERE / "play_sam.py"
MULTIMASK = ("first", "always", "never")


def isegm_peer(
    python: str,
    code: str,
    checkpoint: str,
    *,
    zoom: str = "theirs",
    flip: bool | None = None,
    device: str = "cpu",
    timeout: float = 120.0,
    start_timeout: float = 600.0,
    mode: str = "NoBRS",
    bgr: bool = False,
    zoom_in: Mapping[str, Any] | None = None,
    predictor: Mapping[str, Any] | None = None,
    load: Mapping[str, Any] | None = None,
) -> Peer:
    """RITM, CDNet, FocalClick, GPCIS, PiClick, AdaptiveClick, MST, SimpleClick, MFP or the authors' release.

    Args:
        python: interpreter of the peer's environment. code: its checkout, which holds `isegm/`. checkpoint: its weights.
        zoom, flip: as `Peer.zoom` and `Peer.own_flip`. device: in its torch's words.
        mode: name of the predictor: NoBRS, FocalClick, CDNet, Baseline, f-BRS-B ...
        bgr: show it BGR, as the authors' released weights were trained.
        zoom_in, predictor, load: more arguments of its ZoomIn, `get_predictor` and `load_is_model`.

    Raises:
        PeerError: the interpreter, the checkout or the checkpoint is not there.
    """
    folder = _folder(code, "isegm")
    own = {
        "mode": mode,
        "bgr": bgr,
        "zoom_in": dict(zoom_in or {}),
        "predictor": dict(predictor or {}),
        "load": dict(load or {}),
    }
    options = {**_common(folder, checkpoint, zoom, flip, device), **own}
    return _python_peer(python, ISEGM, folder, options, timeout, start_timeout)


def sam_peer(
    python: str,
    code: str | None,
    checkpoint: str,
    model: str,
    *,
    family: str = "sam",
    zoom: str = "theirs",
    flip: bool | None = None,
    device: str = "cpu",
    timeout: float = 120.0,
    start_timeout: float = 600.0,
    mask_prompt: bool = True,
    multimask: str = "first",
    hq_token_only: bool = False,
) -> Peer:
    """SAM, SAM-HQ or SAM 2. They have no zoom of their own: with "theirs" they see the whole image.

    Args:
        python, checkpoint, zoom, flip, device: as `isegm_peer`. code: a checkout, or None where the package is installed.
        model: vit_b, vit_l, vit_h ...; for SAM 2 the name of its config, such as configs/sam2.1/sam2.1_hiera_b+.yaml.
        family: sam, sam_hq or sam2.
        mask_prompt: give the previous mask with each later click.
        multimask: when it predicts several masks, of which the one that it scores highest counts: first (click), always, never.
        hq_token_only: SAM-HQ's flag.

    Raises:
        PeerError: the interpreter, the checkout or the checkpoint is not there.
        ValueError: an unknown `multimask`.
    """
    if multimask not in MULTIMASK:
        raise ValueError(f"peer.multimask is one of {', '.join(MULTIMASK)}, got {multimask!r}.")
    folder = None if code is None else _folder(code)
    own = {"family": family, "model": model, "mask_prompt": mask_prompt, "multimask": multimask, "hq_token_only": hq_token_only}
    options = {**_common(folder, checkpoint, zoom, flip, device), **own}
    return _python_peer(python, SAM, folder, options, timeout, start_timeout)


def custom_peer(
    command: Sequence[str],
    *,
    code: str | None = None,
    checkpoint: str | None = None,
    zoom: str = "theirs",
    flip: bool | None = None,
    device: str = "cpu",
    timeout: float = 120.0,
    start_timeout: float = 600.0,
    options: Mapping[str, Any] | None = None,
) -> Peer:
    """Any program that speaks the protocol of docs/peers.md.

    Args:
        command: program and arguments. code: folder in which it runs, or None for the current one.
        checkpoint, zoom, flip, device, options: handed to it; zoom and flip as `isegm_peer`.

    Raises:
        PeerError: the program, the folder or the checkpoint is not there.
    """
    if not command:
        raise PeerError("peer.command names no program; give peer.command=[PROGRAM,ARGUMENT,...].")
    folder = None if code is None else _folder(code)
    sent = {**_common(folder, checkpoint, zoom, flip, device), **(options or {})}
    arguments = [str(Path(each).resolve()) if Path(each).is_file() else each for each in command[1:]]
    parts = [Path(each) for each in arguments if Path(each).is_file()]
    return _peer([_program(command[0], "peer.command"), *arguments], folder, sent, parts, timeout, start_timeout)


def _python_peer(
    python: str, player: Path, folder: Path | None, options: dict[str, Any], timeout: float, start_timeout: float
) -> Peer:
    command = [_program(python, "peer.python"), "-u", str(BRIDGE), str(player)]
    return _peer(command, folder, options, [BRIDGE, player], timeout, start_timeout)


def _peer(
    command: list[str], folder: Path | None, options: dict[str, Any], parts: list[Path], timeout: float, start_timeout: float
) -> Peer:
    checkpoint = options["checkpoint"]
    files = [*parts, Path(checkpoint)] if checkpoint else parts
    decisive = {name: value for name, value in options.items() if name not in ("code", "checkpoint", "device")}
    name = Path(checkpoint).stem if checkpoint else Path(parts[0] if parts else command[0]).stem
    process = PeerProcess(command, options, folder=folder, timeout=timeout, start_timeout=start_timeout)
    return Peer(process, name, _fingerprint(files, decisive), options["zoom"], options["flip"])


def _common(folder: Path | None, checkpoint: str | None, zoom: str, flip: bool | None, device: str) -> dict[str, Any]:
    file = None if checkpoint is None else Path(checkpoint).expanduser().resolve()
    if file is not None and not file.is_file():
        raise PeerError(f"peer.checkpoint={checkpoint}: there is no such file.")
    weights = None if file is None else str(file)
    return {"code": folder and str(folder), "checkpoint": weights, "zoom": zoom, "flip": flip, "device": device}


def _folder(code: str, package: str | None = None) -> Path:
    folder = Path(code).expanduser().resolve()
    if not folder.is_dir():
        raise PeerError(f"peer.code={code}: there is no such folder; give the peer's checkout.")
    if package is not None and not (folder / package).is_dir():
        raise PeerError(f"peer.code={code}: it holds no folder {package}/; give the top of the peer's checkout.")
    return folder


def _program(program: str, setting: str) -> str:
    # not resolved: the python of a virtual environment is a link that must be called by its own name
    found = shutil.which(str(Path(program).expanduser()))
    if found is None:
        raise PeerError(f"{setting}={program}: there is no such program that can be run.")
    return str(Path(found).absolute())


def _fingerprint(files: Sequence[Path], options: Mapping[str, Any]) -> str:
    """SHA-256 of what decides the answers and lies in our hands: not of the peer's own code and environment."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for file in files:
        digest.update(sha256(file).encode())
    return digest.hexdigest()
