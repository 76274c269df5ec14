"""What the controller says about Configurations, and the reports of nodes that cannot take theirs back any more."""

from __future__ import annotations

from http import HTTPStatus

from akri.core.errors import AkriError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.reading import members
from akri.platforms.kubernetes.rendering import status_change
from akri.platforms.kubernetes.resources import CONFIGURATIONS, REPORTS

__all__ = ["delete_report", "set_status"]


async def set_status(client: ApiClient, key: ObjectKey, uid: str, status: ConfigurationStatus, manager: str) -> None:
    """Write the status of this very Configuration; if it is gone, nothing is to do. Its spec and generation stay as they are.

    Raises NotPermittedError, and OutcomeUnknownError for whatever else went wrong.
    """
    request, path = status_change(uid, status), CONFIGURATIONS.subresource(key, "status")
    try:
        await client.request(
            request.method, path, body=request.body, content_type=request.content_type, parameters={"fieldManager": manager}
        )
    except ApiStatusError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return
        if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and await _uid(client, key) != uid:
            return
        raise _translated(error, f"the status of Configuration {key}") from error


async def delete_report(client: ApiClient, report: DiscoveryReport) -> None:
    """Delete a report; one that is gone is deleted. Raises NotPermittedError, and OutcomeUnknownError for whatever else went wrong."""
    try:
        await client.request("DELETE", REPORTS.object(report.key))
    except ApiStatusError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise _translated(error, f"the report of node {report.node} on {report.configuration}") from error


async def _uid(client: ApiClient, key: ObjectKey) -> object:
    try:
        return members((await client.request("GET", CONFIGURATIONS.object(key))).get("metadata")).get("uid")
    except ApiStatusError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise _translated(error, f"Configuration {key}") from error


def _translated(error: ApiStatusError, what: str) -> AkriError:
    message = f"{what} was not written: {error}"
    return NotPermittedError(message) if error.status == HTTPStatus.FORBIDDEN else OutcomeUnknownError(message)
