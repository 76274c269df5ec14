"""What refusals mean. The codes are those that a server of version 1.36 gave to these requests."""

from __future__ import annotations

import pytest

from akri.platforms.kubernetes.answers import Answer, Next, judge
from akri.ports import Refusal


@pytest.mark.parametrize(
    ("method", "status", "reason", "meaning"),
    [
        ("PATCH", 422, "Invalid", Next.READ),
        ("PATCH", 400, "BadRequest", Next.READ),
        ("PATCH", 409, "Conflict", Next.AGAIN),
        ("PATCH", 404, "NotFound", Next.GONE),
        ("PATCH", 403, "Forbidden", Refusal.FORBIDDEN),
        ("PATCH", 401, "Unauthorized", Next.AGAIN),
        ("PATCH", 429, "TooManyRequests", Next.AGAIN),
        ("PATCH", 503, "ServiceUnavailable", Next.AGAIN),
        ("PATCH", 413, "RequestEntityTooLarge", Refusal.INVALID),
        ("PATCH", 415, "UnsupportedMediaType", Refusal.INVALID),
        ("DELETE", 409, "Conflict", Next.READ),
        ("DELETE", 404, "NotFound", Next.GONE),
        ("DELETE", 403, "Forbidden", Refusal.FORBIDDEN),
        ("POST", 409, "AlreadyExists", Next.READ),
        ("POST", 409, "Conflict", Next.AGAIN),
        ("POST", 404, "NotFound", Refusal.MISSING),
        ("POST", 403, "Forbidden", Refusal.FORBIDDEN),
        ("POST", 422, "Invalid", Refusal.INVALID),
        ("POST", 400, "BadRequest", Refusal.INVALID),
    ],
)
def test_each_refusal_has_one_meaning(method: str, status: int, reason: str, meaning: Answer) -> None:
    assert judge(method, status, reason) is meaning
