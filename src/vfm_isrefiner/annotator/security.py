"""`Guard`: who may ask, from where and how much, before any of the application is reached."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any, final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 64 * 2**10  # bytes
TOO_LARGE = f"The body has more than {MOST_BODY} bytes, the most there may be: send less at a time."
BODY_SECONDS = 30.0  # that a body may take
LATE = f"The body was not complete after {BODY_SECONDS:g} seconds: send it again."
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = "*"  # among the hosts: whatever is an address and no name
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@final
class Guard:
    """ASGI middleware.

    - `Host` is one of `hosts`: a page of another name that resolves to this machine cannot ask. No page can point an address
      elsewhere, so with `ANY_ADDRESS` among them all of those are taken.
    - `Origin`, where a browser sends one, is this server's own.
    - With a token: it comes as `Authorization: Bearer`, or as the cookie that `/?token=` sets; compared in constant time.
    - A body has at most 64 KiB, and comes within half a minute.

    Args:
        app: what is guarded. hosts: names and addresses without ports. token: None: none is needed.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = LOOPBACK, token: str | None = None) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        # what the cookie holds tells nobody the token
        self._cookie = hmac.new((token or "").encode(), b"cookie of the page", hashlib.sha256).hexdigest()
        # browsers send cookies to all ports of a host, and another annotator there may have another token
        self._cookie_name = f"isrefiner-{hashlib.sha256(self._cookie.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here
        secured = _with_headers(send)
        refused = self._refusal(scope)
        if refused is not None:
            await _answer(secured, *refused)
        elif scope["path"] == "/" and scope["method"] == "GET" and self._given(scope) is not None:
            await self._enter(scope, secured)
        elif not self._known(scope) and scope["path"] != "/health":
            text = "This server needs its token: open the link that isrefiner annotate printed, or send Authorization: Bearer."
            await _answer(secured, 401, text, {"WWW-Authenticate": "Bearer"})
        else:
            scope.setdefault("state", {})["known"] = self._known(scope)
            await self._limited(scope, receive, secured)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._own(_name(hosts[0])):
            return 400, (
                "The Host header names another server than this one: use the address that isrefiner annotate printed, or start "
                "it with --allowed-host and this name."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != hosts[0].lower():
            return 400, "The Origin header names another page than this server's own; other pages cannot use it."
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            return 400, "Content-Length is no number."
        if length is not None and (len(length) > 12 or int(length) > MOST_BODY):
            return 413, TOO_LARGE
        return None

    def _own(self, name: str | None) -> bool:
        return name is not None and (name in self._hosts - {ANY_ADDRESS} or (ANY_ADDRESS in self._hosts and _is_address(name)))

    def _given(self, scope: Scope) -> str | None:
        """The token of the address."""
        values = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        return values[0] if values else None

    def _known(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        headers = Headers(scope=scope)
        kind, _, word = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(word.strip(), self._token):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, self._cookie)

    async def _enter(self, scope: Scope, send: Send) -> None:
        """From an address with a token to the same without, with a cookie instead."""
        if self._token is not None and not _same(self._given(scope) or "", self._token):
            await _answer(send, 401, "The token of this address is not this server's: open the link that was printed last.")
            return
        # not Strict: browsers would keep it back from those who follow a link in a mail or a chat
        cookie = f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Lax; Path=/"
        if scope.get("scheme") == "https":
            cookie += "; Secure"
        await _answer(send, 303, "Go on at /.", {"Location": "./", "Set-Cookie": cookie, "Cache-Control": "no-store"})

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, once the whole body is there and found small enough."""
        messages: list[Message] = []
        read, more = 0, True
        end = asyncio.get_running_loop().time() + BODY_SECONDS
        while more:
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                await _answer(send, 408, LATE, {"Connection": "close"})
                return
            messages.append(message)
            read += len(message.get("body", b""))
            more = message["type"] == "http.request" and bool(message.get("more_body"))
            if read > MOST_BODY:
                await _answer(send, 413, TOO_LARGE, {"Connection": "close"})
                return
        waiting = iter(messages)

        async def again() -> Message:
            return next(waiting, None) or await receive()

        await self._app(scope, again, send)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


def _name(host: str) -> str | None:
    """The name or address in a Host header."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache")  # files of the page are asked for again after an update
        await send(message)

    return secured


async def _answer(send: Send, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps({"detail": detail}).encode()
    told: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    told += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": told}
    await send(start)
    await send({"type": "http.response.body", "body": body})
