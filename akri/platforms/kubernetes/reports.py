"""DiscoveryReports: each node's own, stored in place of the former one by server-side apply, whether there is one or not."""

from __future__ import annotations

from typing import Final

from akri.core.codec import print_report
from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.core.reports import DiscoveryReport
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.resources import REPORTS

__all__ = ["publish_report"]

_APPLY: Final = "application/apply-patch+yaml"
_FORBIDDEN: Final = 403


async def publish_report(client: ApiClient, report: DiscoveryReport, manager: str) -> None:
    """Store a report. Raises NotPermittedError for one of another node, OutcomeUnknownError for whatever else went wrong."""
    parameters = {"fieldManager": manager, "force": "true"}
    try:
        await client.request("PATCH", REPORTS.object(report.key), body=print_report(report), content_type=_APPLY, parameters=parameters)
    except ApiStatusError as error:
        message = f"the report of node {report.node} on {report.configuration} was refused: {error}"
        raise (NotPermittedError(message) if error.status == _FORBIDDEN else OutcomeUnknownError(message)) from error
