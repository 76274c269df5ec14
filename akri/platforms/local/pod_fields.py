"""Which fields of a Kubernetes PodSpec, Container and JobSpec this platform honours, which it ignores and which it refuses. Pure.

The tables are all there is about it: the code reads them, and docs/pod-spec.md shows them, held to these by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen

__all__ = ["CONTAINER_FIELDS", "JOB_FIELDS", "POD_FIELDS", "FieldRule", "Treatment"]


class Treatment(Enum):
    """What happens with a field."""

    HONOURED = "honoured"
    MEANINGLESS = "no meaning here"
    IGNORED = "ignored, with an Event"
    REFUSED = "refused"


@frozen
class FieldRule:
    """How a field is treated; `note` says what that means, or, for a refused one, what to do instead."""

    treatment: Treatment
    note: str = ""


def _honoured(note: str = "") -> FieldRule:
    return FieldRule(Treatment.HONOURED, note)


def _meaningless(note: str) -> FieldRule:
    return FieldRule(Treatment.MEANINGLESS, note)


def _ignored(note: str) -> FieldRule:
    return FieldRule(Treatment.IGNORED, note)


def _refused(note: str) -> FieldRule:
    return FieldRule(Treatment.REFUSED, note)


_ONE_MACHINE: Final = "there is one machine to choose"
_HOST: Final = "processes are in the host's namespaces"
_NO_API: Final = "there is no API server to speak to"
_NO_PROBES: Final = "nothing is probed; a broker that hangs is not noticed"

POD_FIELDS: Final[Mapping[str, FieldRule]] = {
    "activeDeadlineSeconds": _honoured("the pod fails with `DeadlineExceeded`"),
    "affinity": _meaningless(_ONE_MACHINE),
    "automountServiceAccountToken": _meaningless(_NO_API),
    "containers": _honoured("at least one; names are DNS labels and differ"),
    "dnsConfig": _ignored("the host's names are used"),
    "dnsPolicy": _meaningless("the host's names are used"),
    "enableServiceLinks": _meaningless("services are recorded, nothing is routed"),
    "ephemeralContainers": _refused("run what you want to look with on this machine itself"),
    "hostAliases": _ignored("the host's names are used"),
    "hostIPC": _meaningless(_HOST),
    "hostNetwork": _meaningless(_HOST),
    "hostPID": _meaningless(_HOST),
    "hostUsers": _meaningless(_HOST),
    "hostname": _ignored("processes see the host's name"),
    "hostnameOverride": _ignored("processes see the host's name"),
    "imagePullSecrets": _ignored("images are not pulled with secrets; pull them beforehand"),
    "initContainers": _honoured("in order, each until it succeeded; with `restartPolicy: Always` beside the others until the end"),
    "nodeName": _honoured("the node runs it, whether it fits or not"),
    "nodeSelector": _ignored("name the node with `nodeName`"),
    "os": _ignored("it is Linux"),
    "overhead": _meaningless("nothing is accounted"),
    "preemptionPolicy": _meaningless("nothing is preempted"),
    "priority": _meaningless("the oldest pod is served first"),
    "priorityClassName": _meaningless("the oldest pod is served first"),
    "readinessGates": _ignored("a pod counts as ready when it runs"),
    "resourceClaims": _refused("ask for devices with `resources.limits`"),
    "resources": _ignored("ask for devices with the containers' `resources.limits`"),
    "restartPolicy": _honoured("`Always` if not said; waits of 10 s, doubling up to 300 s, as the kubelet has them"),
    "runtimeClassName": _refused("leave it out: containers run as processes, or in the runtime that is there"),
    "schedulerName": _meaningless(_ONE_MACHINE),
    "schedulingGates": _refused("create the pod when it may run"),
    "schedulingGroup": _refused("pods are started one by one"),
    "securityContext": _ignored("run the agent as the user that brokers shall be; fields that would lower rights are refused"),
    "serviceAccount": _meaningless(_NO_API),
    "serviceAccountName": _meaningless(_NO_API),
    "setHostnameAsFQDN": _ignored("processes see the host's name"),
    "shareProcessNamespace": _meaningless(_HOST),
    "subdomain": _ignored("the host's names are used"),
    "terminationGracePeriodSeconds": _honoured("30 if not said; then everything that the pod started is killed"),
    "tolerations": _meaningless(_ONE_MACHINE),
    "topologySpreadConstraints": _meaningless(_ONE_MACHINE),
    "volumes": _honoured("`hostPath` volumes that are mounted under their own path; others are refused: use paths of the host"),
    "workloadRef": _refused("pods are started one by one"),
}
"""Fields of a PodSpec (Kubernetes 1.36)."""

CONTAINER_FIELDS: Final[Mapping[str, FieldRule]] = {
    "args": _honoured("after `command`"),
    "command": _honoured("a program of this machine, by its path or in PATH; `$(NAME)` is replaced"),
    "env": _honoured("`value`, and `valueFrom.fieldRef` of the pod's name, namespace, uid and node; other sources are refused"),
    "envFrom": _refused("write the variables into `env`, or the secret into the Configuration's discoveryProperties"),
    "image": _honoured("where `command` is no program of this machine, and containerd or podman is there; see below"),
    "imagePullPolicy": _honoured("for images"),
    "lifecycle": _ignored("there are no hooks; react to SIGTERM"),
    "livenessProbe": _ignored(_NO_PROBES),
    "name": _honoured("a DNS label"),
    "ports": _meaningless("processes listen on the host's addresses"),
    "readinessProbe": _ignored(_NO_PROBES),
    "resizePolicy": _meaningless("memory and processor time are not limited"),
    "resources": _honoured("devices; limits of memory and processor time are ignored, with an Event"),
    "restartPolicy": _honoured("`Always` of an init container; others are refused"),
    "restartPolicyRules": _refused("use the pod's `restartPolicy`"),
    "securityContext": _ignored("run the agent as the user that brokers shall be; fields that would lower rights are refused"),
    "startupProbe": _ignored(_NO_PROBES),
    "stdin": _ignored("the standard input is empty"),
    "stdinOnce": _ignored("the standard input is empty"),
    "terminationMessagePath": _meaningless("the end of the log says why"),
    "terminationMessagePolicy": _meaningless("the end of the log says why"),
    "tty": _ignored("there is no terminal"),
    "volumeDevices": _refused("use the device by its path on this machine"),
    "volumeMounts": _honoured("see `volumes`"),
    "workingDir": _honoured("a folder that exists"),
}
"""Fields of a Container."""

JOB_FIELDS: Final[Mapping[str, FieldRule]] = {
    "activeDeadlineSeconds": _honoured("the job fails with `DeadlineExceeded`, its pods are ended"),
    "backoffLimit": _honoured("6 if not said; waits of 10 s, doubling up to 6 min"),
    "backoffLimitPerIndex": _refused("use `backoffLimit`"),
    "completionMode": _honoured("`NonIndexed`; `Indexed` is refused: make a Job for each part"),
    "completions": _honoured("1 if neither it nor `parallelism` is said"),
    "failedPodsLimit": _refused("use `backoffLimit`"),
    "managedBy": _refused("leave it out: nobody else runs jobs here"),
    "manualSelector": _meaningless("pods are found by their owner"),
    "maxFailedIndexes": _refused("use `backoffLimit`"),
    "parallelism": _honoured("1 if not said"),
    "podFailurePolicy": _refused("use `backoffLimit`"),
    "podReplacementPolicy": _ignored("a pod is replaced when it has failed"),
    "selector": _meaningless("pods are found by their owner"),
    "successPolicy": _refused("use `completions`"),
    "suspend": _honoured("a job with `true` has no pods"),
    "template": _honoured("its `restartPolicy` is `Never` if not said, `Always` is refused"),
    "ttlSecondsAfterFinished": _ignored("a job goes with its Instance"),
}
"""Fields of a JobSpec."""
