"""The kinds that Akri reads and writes on an API server, and their paths, as data. Pure."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey

__all__ = [
    "CONFIGURATIONS",
    "CONFIG_MAPS",
    "EVENTS",
    "INSTANCES",
    "JOBS",
    "NODES",
    "PODS",
    "REPORTS",
    "SECRETS",
    "SERVICES",
    "Resource",
]


_NO_NAMES: Final = frozenset({".", ".."})
_IN_NO_NAME: Final = frozenset("/%?#")


def _segment(place: str, name: str) -> str:
    """Hold a name to what Kubernetes takes as a part of a path, so that no name reaches another path than its own."""
    if name in _NO_NAMES or not _IN_NO_NAME.isdisjoint(name):
        raise InvalidValueError(place, name, "a name that can be a part of a path")
    return name


@frozen
class Resource:
    """A kind of objects as the API serves it. group: "" for the core group; plural: the name in paths, `configmaps`."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects: `v1`, `akri.sh/v0`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of its group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str | None = None) -> str:
        """Return the path of all objects, or of those in one namespace. A kind without namespaces takes None or "".

        Raises InvalidValueError, as `object` and `subresource` do, for a name that no object can have: `..`, `a/b`.
        """
        place = f"/namespaces/{_segment('metadata.namespace', namespace)}" if namespace and self.namespaced else ""
        return f"{self.root}{place}/{self.plural}"

    def object(self, key: ObjectKey) -> str:
        """Return the path of one object; the namespace counts only where the kind has namespaces."""
        return f"{self.collection(key.namespace)}/{_segment('metadata.name', key.name)}"

    def subresource(self, key: ObjectKey, name: str) -> str:
        """Return the path of a part of one object: `status`, `binding`."""
        return f"{self.object(key)}/{name}"


CONFIGURATIONS: Final = Resource("akri.sh", "v0", "configurations", "Configuration")
INSTANCES: Final = Resource("akri.sh", "v0", "instances", "Instance")
REPORTS: Final = Resource("akri.sh", "v0", "discoveryreports", "DiscoveryReport")
PODS: Final = Resource("", "v1", "pods", "Pod")
SERVICES: Final = Resource("", "v1", "services", "Service")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS: Final = Resource("", "v1", "events", "Event")
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
