"""The one error tree. Each error is one sentence plus the data behind it, so that a caller can print it or act on it.

Nothing else of akri raises exceptions of its own kind: shells map foreign errors to these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

__all__ = [
    "AdmissionError",
    "AkriError",
    "ClaimRefusedError",
    "DeviceUnavailableError",
    "DiscoveryError",
    "HandlerUnreachableError",
    "InvalidDocumentError",
    "InvalidValueError",
    "NotPermittedError",
    "OutcomeUnknownError",
    "Problem",
    "RemoteCallError",
    "StateError",
    "short",
]

_SHOWN: Final = 80


def short(value: object, limit: int = _SHOWN) -> str:
    """Print a value for an error message: repr, cut to `limit` characters, control characters escaped."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


@frozen
class Problem:
    """One thing wrong with something that a user wrote.

    place: the path in the document, `spec.capacity`. message: what was found and what was expected.
    line: line in the file, counted from 1; 0 where it is not known.
    """

    place: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        """Print as `line 7: spec.capacity: message`."""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.place}: {self.message}" if self.place else f"{where}{self.message}"


class AkriError(Exception):
    """Root of all errors that akri raises. `str(error)` is one sentence for the user."""


class InvalidValueError(AkriError, ValueError):
    """A value that cannot be: names the place, the value and what was expected."""

    def __init__(self, place: str, value: object, expected: str) -> None:
        """Take the place (`spec.capacity`), the value found and what was expected there."""
        super().__init__(f"{place}: {short(value)} is not valid: expected {expected}")
        self.place = place
        self.value = value
        self.expected = expected

    @property
    def problem(self) -> Problem:
        """The same as a value, for reports that list several."""
        return Problem(self.place, f"{short(self.value)} is not valid: expected {self.expected}")


class InvalidDocumentError(AkriError, ValueError):
    """Everything that is wrong with one document, all problems at once, each with its path."""

    def __init__(self, title: str, problems: Sequence[Problem]) -> None:
        """Take what the document is (`Configuration default/cameras`) and its problems, at least one."""
        super().__init__(f"{title}: " + "; ".join(str(problem) for problem in problems))
        self.title = title
        self.problems = tuple(problems)


class DiscoveryError(AkriError):
    """A discovery that cannot go on as asked: bad details, or a handler that failed."""


class HandlerUnreachableError(DiscoveryError):
    """No connection to a discovery handler came about: nobody listens where it said that it is."""


class ClaimRefusedError(AkriError):
    """A device that was asked for is held by somebody else; `holder` is the usage text that names the holder."""

    def __init__(self, message: str, holder: str = "") -> None:
        """Take the sentence for the user and the holder as the Instance's usage text prints it."""
        super().__init__(message)
        self.holder = holder


class DeviceUnavailableError(AkriError):
    """A device that was asked for cannot be given: it is unknown, gone, or no slot is left."""


class OutcomeUnknownError(AkriError):
    """A write was sent and its answer did not come in time: it may or may not have taken effect."""


class NotPermittedError(AkriError):
    """The platform's access rules refuse the request; trying again does not help."""


class RemoteCallError(AkriError):
    """A call to another process failed; `code` is gRPC's name of the reason, `text` what the peer said, "" if it said nothing."""

    def __init__(self, message: str, code: str = "UNKNOWN", text: str = "") -> None:
        """Take the sentence for the user, gRPC's status code by its name, `RESOURCE_EXHAUSTED`, and the peer's own words."""
        super().__init__(message)
        self.code = code
        self.text = text


class AdmissionError(AkriError):
    """A node refuses to start a pod; `reason` is one word, as a pod's status.reason has it."""

    def __init__(self, message: str, reason: str = "UnexpectedAdmissionError") -> None:
        """Take the sentence, as a pod's status.message has it, and the reason."""
        super().__init__(message)
        self.reason = reason


class StateError(AkriError):
    """A state folder or what is stored in it cannot be used: it is missing, of another version, or held by another process."""
