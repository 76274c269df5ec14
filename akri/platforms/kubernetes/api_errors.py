"""What may come back from an API server in place of an object, as errors of Akri's one tree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from akri.core.errors import AkriError, OutcomeUnknownError
from akri.core.metadata import Json, JsonObject

__all__ = ["ApiStatusError", "NotSentError", "status_error"]

_GONE: Final = 410


class ApiStatusError(AkriError):
    """The API server's own refusal (a `Status`, or 429): a definite answer. The request did nothing, and nothing of it will come."""

    def __init__(self, status: int, reason: str, message: str, details: JsonObject | None = None, wait: float | None = None) -> None:
        """Take the HTTP status, the Status object's `reason` (one word, `AlreadyExists`), its `message` and its `details`.

        wait: the seconds for which the server asks not to be asked again (Retry-After); None where it does not.
        """
        super().__init__(message or f"the API server answered {status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.message = message
        self.details: JsonObject = details or {}
        self.wait = wait

    @property
    def expired(self) -> bool:
        """Whether what was asked for lies before the server's memory: a resourceVersion or a continue token (410)."""
        return self.status == _GONE


class NotSentError(OutcomeUnknownError):
    """There was no connection to send the request on: it did nothing, and nothing of it will come."""


def status_error(document: Json, status: int, wait: float | None = None) -> ApiStatusError | None:
    """Read a Status object, from an answer of this HTTP status or from an ERROR event; None if it is none.

    Its own `code` counts where it has one: an ERROR event comes with the HTTP status 200.
    """
    if not isinstance(document, Mapping) or document.get("kind") != "Status" or document.get("status") == "Success":
        return None
    code, reason, message, details = (document.get(name) for name in ("code", "reason", "message", "details"))
    return ApiStatusError(
        code if isinstance(code, int) else status,
        reason if isinstance(reason, str) else "",
        message if isinstance(message, str) else "",
        details if isinstance(details, Mapping) else None,
        wait,
    )
