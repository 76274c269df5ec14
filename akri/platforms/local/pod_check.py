"""Says what of a PodSpec or a JobSpec is ignored on this platform, and what it refuses, each with its path. Pure, and never raises.

What would make a broker do something else than its author meant is refused; what only makes it less comfortable is ignored and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from akri.core.errors import Problem, short
from akri.core.metadata import Json, JsonObject
from akri.platforms.local.pod_fields import CONTAINER_FIELDS, JOB_FIELDS, POD_FIELDS, FieldRule, Treatment
from akri.platforms.local.restarts import RestartPolicy
from akri.platforms.pod_requests import json_object, json_objects

__all__ = ["FIELD_PATHS", "ignored_fields", "ignored_job_fields", "refused_fields", "refused_job_fields"]

FIELD_PATHS: Final = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName")
"""What `valueFrom.fieldRef` may name."""
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LOWERS_RIGHTS: Final = frozenset({"runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem"})
_POLICIES: Final = tuple(policy.value for policy in RestartPolicy)
_PLACES: Final = ("initContainers", "containers")


def ignored_fields(spec: JsonObject) -> tuple[str, ...]:
    """Name each field that is set and that this platform passes over, as a path within the PodSpec."""
    ignored = list(_ignored(spec, POD_FIELDS))
    for place, item in _containers(spec):
        ignored.extend(f"{place}.{name}" for name in _ignored(item, CONTAINER_FIELDS))
        limits = json_object(json_object(item.get("resources")).get("limits"))
        ignored.extend(f"{place}.resources.limits.{name}" for name in limits if "/" not in name)
    return tuple(sorted(ignored))


def ignored_job_fields(spec: JsonObject) -> tuple[str, ...]:
    """Name each field of a JobSpec that is set and passed over."""
    return tuple(sorted(_ignored(spec, JOB_FIELDS)))


def refused_fields(spec: JsonObject) -> tuple[Problem, ...]:
    """Say everything for which a pod is not run; empty for a good one."""
    problems = [*_refused(spec, POD_FIELDS, ""), *_lowered(spec, "")]
    if spec.get("restartPolicy", "Always") not in _POLICIES:
        problems.append(Problem("restartPolicy", f"{short(spec.get('restartPolicy'))} is none of Always, OnFailure, Never"))
    if not json_objects(spec.get("containers")):
        problems.append(Problem("containers", "a pod needs at least one container"))
    paths = _host_paths(spec)
    names: set[str] = set()
    for place, item in _containers(spec):
        problems.extend(_container_problems(place, item, paths))
        name = item.get("name")
        if isinstance(name, str):
            if name in names:
                problems.append(Problem(f"{place}.name", f"{short(name)} is the name of two containers"))
            names.add(name)
    return tuple(problems)


def refused_job_fields(spec: JsonObject) -> tuple[Problem, ...]:
    """Say everything for which a job is not run; empty for a good one. Its template is checked with its pods."""
    problems = list(_refused(spec, JOB_FIELDS, ""))
    if spec.get("completionMode") == "Indexed":
        problems.append(Problem("completionMode", f"Indexed is refused on this platform: {JOB_FIELDS['completionMode'].note}"))
    if json_object(json_object(spec.get("template")).get("spec")).get("restartPolicy") == RestartPolicy.ALWAYS.value:
        problems.append(Problem("template.spec.restartPolicy", "'Always' would never end: a job needs Never or OnFailure"))
    return tuple(problems)


def _containers(spec: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for kind in _PLACES:
        for index, item in enumerate(json_objects(spec.get(kind))):
            yield f"{kind}[{index}]", item


def _ignored(item: JsonObject, rules: Mapping[str, FieldRule]) -> Iterator[str]:
    """Name what is set and passed over; also what nobody has heard of, which is misspelt or newer than this."""
    for name in item:
        if name not in rules or rules[name].treatment is Treatment.IGNORED:
            yield name


def _refused(item: JsonObject, rules: Mapping[str, FieldRule], place: str) -> Iterator[Problem]:
    for name, value in item.items():
        rule = rules.get(name)
        if rule is not None and rule.treatment is Treatment.REFUSED and value:
            yield Problem(place + name, f"refused on this platform: {rule.note}")


def _lowered(item: JsonObject, place: str) -> Iterator[Problem]:
    context = json_object(item.get("securityContext"))
    for name in sorted(_LOWERS_RIGHTS & {name for name, value in context.items() if value is not False and value is not None}):
        note = "refused on this platform: processes have the rights of the agent, so run the agent as the user that they shall be"
        yield Problem(f"{place}securityContext.{name}", note)


def _container_problems(place: str, item: JsonObject, host_paths: Mapping[Json, Json]) -> Iterator[Problem]:
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Problem(f"{place}.name", f"{short(name)} is no name: lower-case letters, digits and dashes, at most 63")
    yield from _refused(item, CONTAINER_FIELDS, f"{place}.")
    yield from _lowered(item, f"{place}.")
    if item.get("restartPolicy") not in ((None, "Always") if place.startswith("init") else (None,)):
        yield Problem(f"{place}.restartPolicy", "refused on this platform: use the pod's `restartPolicy`")
    for index, variable in enumerate(json_objects(item.get("env"))):
        yield from _variable_problems(f"{place}.env[{index}]", variable)
    for index, mount in enumerate(json_objects(item.get("volumeMounts"))):
        path = mount.get("mountPath")
        volume = mount.get("name")
        if not isinstance(path, str) or not isinstance(volume, str) or host_paths.get(volume) != path or mount.get("subPath"):
            note = "only hostPath volumes mounted under their own path can be had: a process sees the paths of the host"
            yield Problem(f"{place}.volumeMounts[{index}]", note)


def _variable_problems(place: str, variable: JsonObject) -> Iterator[Problem]:
    if "valueFrom" not in variable:
        return
    path = json_object(json_object(variable.get("valueFrom")).get("fieldRef")).get("fieldPath")
    if path not in FIELD_PATHS:
        note = f"can be had from fieldRef {', '.join(FIELD_PATHS)} alone; write the value, or use the Configuration's brokerProperties"
        yield Problem(f"{place}.valueFrom", note)


def _host_paths(spec: JsonObject) -> dict[Json, Json]:
    """Volumes by name, with the path of the host where they have one."""
    volumes = json_objects(spec.get("volumes"))
    return {name: json_object(volume.get("hostPath")).get("path") for volume in volumes if isinstance(name := volume.get("name"), str)}
