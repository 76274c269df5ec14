"""Asks `akri explain`'s diagnosis of a cluster in this process, at the cluster's own time."""

from __future__ import annotations

from akri.cli.diagnosing import examine
from akri.cli.diagnosis.finding import Finding
from akri.cli.diagnosis.names import Ambiguous, Missing
from akri.cli.diagnosis.sight import Where
from akri.platforms.local.user import LocalUser
from tests.scenarios.cluster import Cluster

__all__ = ["STATE", "why"]

STATE = "/var/lib/akri/local"


async def why(it: Cluster, name: str, namespace: str = "") -> tuple[Finding, ...]:
    """Give the findings about something that is, or was, there."""
    found = await examine(LocalUser(it.store), name, namespace, Where(STATE), it.clock.wall())
    assert not isinstance(found, Missing | Ambiguous), found
    return found[1]
