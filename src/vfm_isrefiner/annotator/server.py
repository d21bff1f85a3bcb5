"""`serve`: the application on a socket of this machine, until it is stopped."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import webbrowser
from collections.abc import Sequence
from threading import Timer
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from vfm_isrefiner.annotator.security import ANY_ADDRESS, LOOPBACK

FIRST_PORT, PORTS = 8765, 20  # that are tried where none is asked for
SECONDS_TO_END = 5  # for requests that are being answered when the server is stopped


def is_loopback(host: str) -> bool:
    """Can only this machine reach a server on `host`?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str, token: str | None, more: Sequence[str] = ()) -> None:
    """Nothing, where a server on `host` is safe; `more` are names that a proxy passes on.

    Raises:
        ValueError: others can reach it, and there is no token; or the token is too short to be one.
    """
    if token is not None and len(token) < 12:
        raise ValueError(f"--token has {len(token)} characters; at least 12 were expected, so that nobody guesses it.")
    if token is None and (more or not is_loopback(host)):
        by = f"--host {host}" if not is_loopback(host) else f"--allowed-host {more[0]}"
        raise ValueError(
            f"{by} lets other machines in, which needs a token: add --token SECRET (such as the output of "
            'python -c "import secrets; print(secrets.token_urlsafe(24))").'
        )


def hosts_of(host: str, more: Sequence[str] = ()) -> list[str]:
    """The names under which a server on `host` may be asked; `more` are those that a proxy passes on."""
    own = [] if host in ("0.0.0.0", "::") else [host]
    everywhere = [socket.gethostname(), *_addresses(), ANY_ADDRESS] if not own else []
    return list(dict.fromkeys([*LOOPBACK, *own, *everywhere, *more]))


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens on `host`; port 0: any free one; None: the first free one from `FIRST_PORT` on.

    A page that is open finds a server again that was killed and started with the same port.

    Raises:
        OSError: the address is taken, or not one of this machine.
    """
    if port is None:
        for number in range(FIRST_PORT, FIRST_PORT + PORTS):
            with contextlib.suppress(OSError):
                return bound(host, number)
        port = 0
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        one = socket.socket(family, kind, protocol)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
            one.listen(128)
        except OSError:
            one.close()
            raise
    except OSError as error:
        raise OSError(
            f"Cannot listen on {host}, port {port} ({error.strerror or error}). Choose another --port or --host."
        ) from error
    return one


def address_of(one: socket.socket, host: str, token: str | None) -> str:
    """What to open in a browser."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{one.getsockname()[1]}/" + (f"?token={quote(token)}" if token else "")


def serve(app: ASGIApp, one: socket.socket, address: str, browser: bool) -> None:
    """Answer until Ctrl-C or SIGTERM; the address is printed first.

    Args:
        app: what answers. one: from `bound`. address: to print. browser: open it there too.
    """
    print(f"annotate at {address}\nCtrl-C ends it; what is accepted is on the disk.", flush=True)
    if browser:
        opening = Timer(0.3, webbrowser.open, (address,))
        opening.daemon = True
        opening.start()
    try:
        uvicorn.Server(config_of(app)).run(sockets=[one])
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)


def config_of(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves: quietly, and with bounds."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END,
        limit_concurrency=512,
        h11_max_incomplete_event_size=32 * 2**10,
        ws="none",
    )


def _addresses() -> list[str]:
    """Of this machine, as far as its name tells them."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return []
    return [str(entry[4][0]) for entry in found]
