"""Things as JSON documents, for `-o json`, `-o yaml` and `-o name`: as the API server would show them, as far as is known. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, assert_never

from akri.cli.kinds import Kind
from akri.cli.listing import Source, Thing
from akri.cli.yaml_text import yaml_text
from akri.core.codec_print import API_VERSION, print_configuration, print_instance, print_report, print_status
from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerJob, BrokerPod, NodeState

__all__ = ["api_name", "as_json", "as_list", "as_yaml", "document"]

_API_NAMES: Final = {
    Kind.CONFIGURATIONS: "configuration.akri.sh",
    Kind.INSTANCES: "instance.akri.sh",
    Kind.REPORTS: "discoveryreport.akri.sh",
    Kind.NODES: "node",
}


def api_name(thing: Thing) -> str:
    """Name a thing as kubectl does: `instance.akri.sh/echo-8120fe`."""
    broker = "job.batch" if isinstance(thing.source, BrokerJob) else "pod"
    return f"{_API_NAMES.get(thing.kind, broker)}/{thing.key.name}"


def document(source: Source, statuses: Mapping[str, ConfigurationStatus]) -> JsonObject:
    """Print a thing; a Configuration with its status. Of an unreadable one there are only metadata and, as status, its problems."""
    match source:
        case Configuration():
            status = statuses.get(source.metadata.uid)
            return {**print_configuration(source), **({} if status is None else {"status": print_status(status)})}
        case UnreadableConfiguration():
            return _unreadable(source)
        case Instance():
            return print_instance(source)
        case DiscoveryReport():
            return print_report(source)
        case BrokerPod():
            return _pod(source)
        case BrokerJob():
            return _job(source)
        case NodeState():
            return _node(source)
    assert_never(source)


def as_list(documents: Iterable[JsonObject]) -> JsonObject:
    """Wrap documents in a list as kubectl prints it."""
    return {"apiVersion": "v1", "kind": "List", "items": list(documents)}


def as_json(value: Json, *, lines: bool = True) -> str:
    """Print as JSON, over many lines or in one. What is not printable is escaped, so a terminal is safe."""
    text = json.dumps(value, indent=2 if lines else None, ensure_ascii=False)
    return text if text.isascii() else "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def as_yaml(value: Json) -> str:
    """Print as YAML, without the last line end."""
    return yaml_text(value).removesuffix("\n")


def _unreadable(configuration: UnreadableConfiguration) -> JsonObject:
    stored = configuration.metadata
    more: JsonObject = {"generation": stored.generation, "labels": dict(stored.labels), "annotations": dict(stored.annotations)}
    metadata = _metadata(stored.key, stored.uid, stored.created, more)
    problems: list[Json] = [str(problem) for problem in configuration.problems]
    return {"apiVersion": API_VERSION, "kind": "Configuration", "metadata": metadata, "status": {"problems": problems}}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _metadata(key: ObjectKey, uid: str, created: float, more: JsonObject) -> JsonObject:
    made: dict[str, Json] = {"creationTimestamp": _time(created)} if created else {}
    namespace: dict[str, Json] = {"namespace": key.namespace} if key.namespace else {}
    return {"name": key.name, **namespace, **({"uid": uid} if uid else {}), **made, **more}


def _broker_metadata(broker: BrokerPod | BrokerJob) -> JsonObject:
    annotations: dict[str, Json] = {ANNOTATION_ATTEMPT: str(broker.attempt), ANNOTATION_HASH: broker.spec_hash}
    owner: JsonObject = {"apiVersion": API_VERSION, "kind": "Instance", "name": broker.instance.name, "controller": True}
    deleting: dict[str, Json] = {"deleting": True} if broker.deleting else {}
    return _metadata(broker.key, broker.uid, broker.created, {"annotations": annotations, "ownerReferences": [owner], **deleting})


def _times(**times: float) -> dict[str, Json]:
    return {name: _time(seconds) for name, seconds in times.items() if seconds}


def _pod(pod: BrokerPod) -> JsonObject:
    reason: dict[str, Json] = {"reason": pod.reason} if pod.reason else {}
    status: JsonObject = {"phase": pod.phase.value, **reason, **_times(startTime=pod.started, finishedAt=pod.finished)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _broker_metadata(pod), "spec": {"nodeName": pod.node}, "status": status}


def _job(job: BrokerJob) -> JsonObject:
    kinds = {"Complete": job.complete, "Failed": job.failed}
    conditions: list[Json] = [{"type": name, "status": "True", "reason": job.reason} for name, holds in kinds.items() if holds]
    status: JsonObject = {"conditions": conditions, **_times(completionTime=job.finished)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _broker_metadata(job), "status": status}


def _node(node: NodeState) -> JsonObject:
    condition: JsonObject = {"type": "Ready", "status": str(node.ready), **_times(lastTransitionTime=node.since)}
    metadata = _metadata(ObjectKey("", node.name), "", 0, {})
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"conditions": [condition]}}
