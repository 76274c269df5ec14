"""Examines what runs on a state folder: programs by their locks, their sockets, handlers, and brokers without a program."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from akri.agent.memory import read_registrations
from akri.cli.doctoring.findings import Finding, ok, problem, warning
from akri.core.errors import AkriError
from akri.core.ids import NodeName
from akri.platforms.local.folder import NodeFolder, StateFolder
from akri.platforms.local.locks import holder
from akri.platforms.local.programs import programs
from akri.platforms.local.stopping import running_containers

__all__ = ["examine_brokers", "examine_programs", "examine_sockets"]

_PATIENCE: Final = 2.0


def examine_programs(folder: StateFolder) -> Iterator[Finding]:
    """Tell which programs hold which locks."""
    running = programs(folder)
    for program in running:
        nodes = f", node {', '.join(program.nodes)}" if program.controller and program.nodes else ""
        yield ok("programs", f"{program.name} runs{nodes}")
    controlled = any(program.controller for program in running)
    if not running:
        yield ok("programs", "none runs: begin with 'akri up'")
    elif not controlled:
        yield problem("programs", "nodes run without 'akri up': nobody makes brokers, or sees that a node is lost", "start 'akri up'")
    held = {node for program in running for node in program.nodes}
    for name, _ in folder.nodes():
        if controlled and name not in held:
            advice = f"start it: akri node --name {name}; or forget it: rm -r {folder.path}/nodes/{name}"
            yield warning("programs", f"node {name} ran here and does not run now", advice)


def examine_sockets(folder: StateFolder) -> Iterator[Finding]:
    """Knock at the sockets of the nodes that run, and at those of the handlers that registered with them."""
    for name, part in folder.nodes():
        if holder(part.lock) is None:
            continue
        for what, path in (
            ("device manager", part.plugins / "kubelet.sock"),
            ("PodResources", part.pod_resources),
            ("registration of handlers", part.handlers / "agent-registration.sock"),
        ):
            trouble = _knock(path)
            if trouble:
                yield problem("sockets", f"{what} of node {name} does not answer at {path}: {trouble}", "start the node's program anew")
            else:
                yield ok("sockets", f"{what} of node {name} answers")
        yield from _handlers(name, part)


def _handlers(name: NodeName, part: NodeFolder) -> Iterator[Finding]:
    try:
        registrations = read_registrations(json.loads((part.agent / "handlers.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return
    except (AkriError, ValueError) as error:
        yield problem("handlers", f"what node {name} remembers of handlers cannot be read: {error}", "start the node's program anew")
        return
    for one in registrations:
        where = f"handler {one.name} of node {name}"
        if one.network:
            yield ok("handlers", f"{where} is on the network, at {one.endpoint}")
            continue
        trouble = _knock(Path(one.endpoint.removeprefix("unix:").removeprefix("//")))
        if trouble:
            yield problem(
                "handlers", f"{where} does not answer at {one.endpoint}: {trouble}", "start the handler; its devices keep their grace"
            )
        else:
            yield ok("handlers", f"{where} answers")


def examine_brokers(folder: StateFolder) -> Iterator[Finding]:
    """Look for brokers that nobody watches."""
    brokers = len(running_containers(folder.path)) if folder.brokers.is_dir() else 0
    if brokers and not programs(folder):
        said = f"{brokers} container{'s run' if brokers > 1 else ' runs'} without a program"
        yield warning("brokers", said, "'akri up' takes them up, 'akri down' ends them")
    else:
        yield ok("brokers", f"{brokers} container{'' if brokers == 1 else 's'} running")


def _knock(path: Path) -> str:
    """Connect to a socket; tell why that cannot be, or nothing."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
        except OSError as error:
            return error.strerror or str(error)
    return ""
