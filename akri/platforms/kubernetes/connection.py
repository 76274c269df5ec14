"""Where an API server is and how to be let in: what a login ends with, and all that the client needs to know of it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from attrs import field, frozen

__all__ = ["Connection"]


def _no_token() -> str | None:
    return None


async def _nothing_to_renew() -> None:
    return None


@frozen
class Connection:
    """An API server and the credentials for it.

    server: its base URL without a slash at the end, `https://10.96.0.1:443`. ssl: how to verify it, with the client's own
    certificate where that is the login; None for plain HTTP, or the machine's own authorities.
    token: gives the bearer token of this moment, None where none is used; called once for each request, so it must be quick.
    renew: fetches the token anew; awaited once when the server refuses the present one (401), before the request is tried again.
    """

    server: str
    ssl: ssl.SSLContext | None = field(default=None, eq=False)
    token: Callable[[], str | None] = field(default=_no_token, eq=False, repr=False)
    renew: Callable[[], Awaitable[None]] = field(default=_nothing_to_renew, eq=False, repr=False)
