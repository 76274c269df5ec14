"""What the API server's refusals of writes mean, as tables: by status code, and what they leave to find out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from akri.ports import Refusal

__all__ = ["Answer", "Next", "judge"]

_ALREADY_EXISTS: Final = "AlreadyExists"


class Next(Enum):
    """What to do where the status code alone does not tell how a write ended. Nothing was changed by it so far."""

    READ = "read the object and decide"
    GONE = "decide as for an object that is not there"
    AGAIN = "try again"


Answer: TypeAlias = Refusal | Next
"""The meaning of a refusal."""

_OF_CHANGES: Final[Mapping[int, Answer]] = {
    401: Next.AGAIN,  # the token was just replaced, or the server is just starting
    403: Refusal.FORBIDDEN,  # RBAC, or one of our policies, which give this reason
    404: Next.GONE,
    422: Next.READ,  # a failed test, the schema, or a policy expression that errs
    400: Next.READ,
    429: Next.AGAIN,
    503: Next.AGAIN,
}
_OF_CREATIONS: Final[Mapping[int, Answer]] = {
    **_OF_CHANGES,
    409: Next.AGAIN,
    404: Refusal.MISSING,  # the namespace, or the kind
    422: Refusal.INVALID,
    400: Refusal.INVALID,
}
_BY_METHOD: Final[Mapping[str, Mapping[int, Answer]]] = {
    "POST": _OF_CREATIONS,
    "PATCH": {**_OF_CHANGES, 409: Next.AGAIN},  # the server gave up after five conflicts with other writers
    "DELETE": {**_OF_CHANGES, 409: Next.READ},  # its preconditions do not hold
}


def judge(method: str, status: int, reason: str) -> Answer:
    """Say what a definite refusal of a write to an Instance means; `reason` is the word in the server's Status."""
    if method == "POST" and reason == _ALREADY_EXISTS:
        return Next.READ
    return _BY_METHOD[method].get(status, Refusal.INVALID)
