"""A Kubernetes cluster as the controller sees it: watches of everything, and each action carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from akri.core.ids import ObjectKey
from akri.core.naming import LABEL_CONTROLLER, LABEL_VALUE_CONTROLLER
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.platforms.kubernetes import decoding, observations
from akri.platforms.kubernetes import status as statuses
from akri.platforms.kubernetes.actions import CONTROLLER, Actions
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.job_refusals import explained, failed_pods
from akri.platforms.kubernetes.platform import KubernetesPlatform
from akri.platforms.kubernetes.resources import JOBS, NODES, PODS, REPORTS, SERVICES
from akri.platforms.kubernetes.watching import watch_objects
from akri.ports import Clock, Outcome, WatchEvent
from akri.scheduling.model import Action, BrokerJob, BrokerPod, BrokerService, NodeState

__all__ = ["KubernetesClusterPlatform"]

_OURS: Final = f"{LABEL_CONTROLLER}={LABEL_VALUE_CONTROLLER}"
_REPORTER: Final = "akri.sh/controller"


class KubernetesClusterPlatform(KubernetesPlatform):
    """The ClusterPlatform port over an API server."""

    def __init__(self, client: ApiClient, clock: Clock, name: str = CONTROLLER) -> None:
        """Speak for the controller, through a client that is open and logged in; `name` tells one controller from another in events."""
        super().__init__(client, clock, _REPORTER, name)
        self._actions = Actions(client, clock)

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        """Watch the pods that Akri made; those of jobs are the jobs' business."""
        return watch_objects(self._client, PODS, observations.broker_pod, self._clock, label_selector=_OURS)

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        """Watch the jobs that Akri made. If nodes refused all pods of one that failed, it has their reason soon after its end."""
        jobs = watch_objects(self._client, JOBS, observations.broker_job, self._clock, label_selector=_OURS)
        return explained(jobs, failed_pods(self._client))

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        """Watch the services that Akri made."""
        return watch_objects(self._client, SERVICES, observations.broker_service, self._clock, label_selector=_OURS)

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        """Watch the nodes."""
        return watch_objects(self._client, NODES, observations.node_state, self._clock)

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        """Watch the reports of all nodes; one that cannot be used is as if it were not there."""
        return watch_objects(self._client, REPORTS, decoding.report, self._clock)

    async def execute(self, action: Action) -> Outcome:
        """Do what the controller decided."""
        return await self._actions.execute(action)

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        """Write a Configuration's status. Raises OutcomeUnknownError, NotPermittedError."""
        await statuses.set_status(self._client, key, uid, status, CONTROLLER)

    async def delete_report(self, report: DiscoveryReport) -> None:
        """Delete the report of a lost node. Raises OutcomeUnknownError, NotPermittedError."""
        await statuses.delete_report(self._client, report)
