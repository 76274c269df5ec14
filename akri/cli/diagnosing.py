"""What `akri explain` does: looks at everything once, reads what troubled brokers wrote, and prints the diagnosis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import Final

import click
from attrs import evolve

from akri.cli.cells import Style
from akri.cli.diagnosis.brokers import troubled
from akri.cli.diagnosis.diagnose import diagnose, wrong
from akri.cli.diagnosis.finding import Finding, Severity
from akri.cli.diagnosis.names import Ambiguous, Missing, find
from akri.cli.diagnosis.sight import Scope, Sight, Where
from akri.cli.overview import look
from akri.cli.tables import Screen
from akri.cli.text import harmless
from akri.core.errors import AkriError
from akri.core.ids import ObjectKey
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.programs import programs
from akri.platforms.pod_requests import json_objects
from akri.ports import PodDetails, UserPlatform

__all__ = ["NO_SUCH_NAME", "examine", "explained", "printed", "where_is"]

NO_SUCH_NAME: Final = 3
"""Exit code: there is nothing of this name."""
_LINES: Final = 5
_MOST_LOGS: Final = 10
_PATIENCE: Final = 5.0


async def examine(
    platform: UserPlatform, name: str, namespace: str, where: Where, now: float
) -> tuple[Scope, tuple[Finding, ...]] | Missing | Ambiguous:
    """Find out what is wrong with something; `now` is in seconds since the epoch. Raises what the port's methods raise."""
    overview = await look(platform)
    scope = find(overview, name, namespace)
    if not isinstance(scope, Scope):
        return scope
    sight = Sight(overview, now, await platform.read_pods(), where=where)
    return scope, diagnose(scope, evolve(sight, logs=await _logs(platform, scope, sight)))


def where_is(state: Path, *, given: bool, local: bool) -> Where:
    """Say where a platform is. given: --state was typed, so commands carry it. local: it is what the folder holds. Raises OSError."""
    folder = StateFolder(state)
    stopped = local and not any(program.controller for program in programs(folder))
    return Where(str(state), f" --state {quote(str(state))}" if given else "", stopped=stopped)


async def explained(platform: UserPlatform, name: str, namespace: str, where: Where, *, as_json: bool) -> int:
    """Print the diagnosis; answer the exit code."""
    found = await examine(platform, name, namespace, where, time.time())
    match found:
        case Missing(text, near):
            hint = f"; is one of these meant? {', '.join(near)}" if near else ""
            click.echo(harmless(f"There is no Configuration, Instance or broker named {text}{hint}"), err=True)
            return NO_SUCH_NAME
        case Ambiguous(text, namespaces):
            message = f"{text} is there in several namespaces, say which: {' or '.join(f'-n {one}' for one in namespaces)}"
            raise click.UsageError(harmless(message))
        case (scope, findings):
            click.echo(_document(scope, findings) if as_json else "\n".join(printed(findings)))
            return 1 if wrong(findings) else 0


async def _logs(platform: UserPlatform, scope: Scope, sight: Sight) -> Mapping[ObjectKey, tuple[str, ...]]:
    """Read the last lines of brokers that are in trouble; what cannot be read is left out."""
    pods = [(pod, sight.pod(pod.key, pod.uid)) for pod in scope.pods]
    wanted = [details for pod, details in pods if details is not None and troubled(pod, sight)]
    return {details.metadata.key: await _last_lines(platform, details) for details in wanted[:_MOST_LOGS]}


async def _last_lines(platform: UserPlatform, pod: PodDetails) -> tuple[str, ...]:
    names = [str(one.get("name", "")) for one in json_objects(pod.spec.get("containers"))]
    failed = [one.name for one in pod.containers if one.exit_code]
    lines: list[str] = []
    for name in failed or names:
        for previous in (False, True):
            try:
                async with asyncio.timeout(_PATIENCE):
                    read = [line async for line in platform.read_log(pod.metadata.key, name, previous=previous, tail=_LINES)]
            except (AkriError, OSError, TimeoutError):
                continue
            lines += read
            if read:
                break
    return tuple(lines[-_LINES:])


def printed(findings: Iterable[Finding]) -> Iterable[str]:
    """Give the lines that people read, in colour on a terminal."""
    screen = Screen.of()
    styles = {Severity.PROBLEM: Style.BAD, Severity.WARNING: Style.WAITING, Severity.NOTE: Style.GOOD}
    for number, finding in enumerate(findings):
        if number:
            yield ""
        yield screen.paint(finding.title, styles[finding.severity])
        yield f"  {finding.advice}"
        yield from (f"  - {line}" for line in finding.evidence)


def _document(scope: Scope, findings: Iterable[Finding]) -> str:
    found = [
        {
            "fault": finding.fault.name.title().replace("_", ""),
            "severity": finding.severity.value,
            "title": finding.title,
            "advice": finding.advice,
            "evidence": list(finding.evidence),
        }
        for finding in findings
    ]
    about = {"kind": scope.kind, "namespace": scope.key.namespace, "name": scope.key.name}
    return json.dumps({"about": about, "findings": found}, indent=2)
