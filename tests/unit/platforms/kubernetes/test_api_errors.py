"""Status objects, read as errors."""

from __future__ import annotations

import pytest

from akri.core.errors import AkriError, OutcomeUnknownError
from akri.core.metadata import Json
from akri.platforms.kubernetes.api_errors import ApiStatusError, NotSentError, status_error


def test_a_status_is_read_with_its_own_code() -> None:
    document: Json = {
        "kind": "Status",
        "status": "Failure",
        "code": 410,
        "reason": "Expired",
        "message": "too old resource version: 1 (7)",
        "details": {"name": "cam"},
    }
    error = status_error(document, 200, wait=2.0)

    assert error is not None
    assert (error.status, error.reason, error.message, error.details, error.wait) == (
        410,
        "Expired",
        "too old resource version: 1 (7)",
        {"name": "cam"},
        2.0,
    )
    assert error.expired
    assert str(error) == "too old resource version: 1 (7)"


def test_a_status_without_more_takes_the_code_of_its_answer() -> None:
    error = status_error({"kind": "Status", "code": "x", "reason": 1, "message": None, "details": []}, 404)

    assert error is not None
    assert (error.status, error.reason, error.details, error.expired) == (404, "", {}, False)
    assert str(error) == "the API server answered 404"


@pytest.mark.parametrize("document", [None, [], "Status", {"kind": "Pod"}, {"kind": "Status", "status": "Success"}])
def test_anything_else_is_no_error(document: Json) -> None:
    assert status_error(document, 500) is None


def test_errors_have_their_places_in_the_one_tree() -> None:
    assert issubclass(ApiStatusError, AkriError)
    assert not issubclass(ApiStatusError, OutcomeUnknownError)
    assert issubclass(NotSentError, OutcomeUnknownError)
