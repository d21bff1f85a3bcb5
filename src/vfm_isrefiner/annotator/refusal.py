"""`Refusal`: what was asked cannot be done, told to the client in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final


@final
class Refusal(Exception):
    """An answer other than the one that was hoped for.

    Attributes:
        status: of HTTP: 400, 401, 404, 409, 413, 422, 429 or 503.
        detail: one sentence: what was got, what was expected, what to do.
        more: what else the answer holds. headers: of the answer.
    """

    def __init__(
        self, status: int, detail: str, more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more, self.headers = status, detail, dict(more or {}), dict(headers or {})
