"""The whole examination, in the order in which things build upon each other; what cannot be looked at is a finding, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from akri.cli.doctoring.findings import Finding, problem
from akri.cli.doctoring.folders import examine_folder, examine_leftovers, examine_space
from akri.cli.doctoring.machine import examine_device_nodes, examine_limits, examine_runtimes, examine_udev
from akri.cli.doctoring.running import examine_brokers, examine_programs, examine_sockets
from akri.cli.doctoring.stores import examine_store
from akri.cli.doctoring.users import User
from akri.core.errors import AkriError
from akri.platforms.local.folder import StateFolder

__all__ = ["examined"]

_ADVICE: Final = "look as the user who runs akri, or as root"


def examined(state: Path, environment: Mapping[str, str]) -> list[Finding]:
    """Examine a state folder, an absolute path, and this machine, as the user of this process; nothing is changed."""
    folder, user = StateFolder(state), User.present()
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("state folder", lambda: examine_folder(folder, user)),
        ("space", lambda: examine_space(folder)),
        ("programs", lambda: examine_programs(folder)),
        ("store", lambda: examine_store(folder)),
        ("sockets", lambda: examine_sockets(folder)),
        ("brokers", lambda: examine_brokers(folder)),
        ("device nodes", lambda: examine_device_nodes(folder, user)),
        ("udev", examine_udev),
        ("containers", examine_runtimes),
        ("open files", examine_limits),
        ("leftovers", lambda: examine_leftovers(folder, environment)),
    )
    found: list[Finding] = []
    for subject, examine in parts:
        try:
            found.extend(examine())
        except OSError as error:
            where = error.filename or folder.path
            found.append(problem(subject, f"{where} cannot be looked at: {error.strerror or error}", _ADVICE))
        except AkriError as error:
            found.append(problem(subject, str(error), _ADVICE))
    return found
