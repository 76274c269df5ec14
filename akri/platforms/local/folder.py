"""Where the local platform keeps its state: one folder for all processes of one machine, and what is where in it.

| path | what |
|---|---|
| `version` | form of the folder, a number |
| `store.sqlite` | Configurations, Instances, claims, brokers, reports and events |
| `applied/` | each applied Configuration, to build a damaged store anew |
| `data/secrets/`, `data/configmaps/` | Secrets and ConfigMaps, a plain file for each key |
| `notify/` | sockets by which processes tell each other of changes |
| `controller.lock` | held by `akri up` |
| `nodes/NODE/lock` | held by the process that runs the node |
| `nodes/NODE/plugins`, `handlers`, `pod-resources.sock` | sockets of plugins and handlers; the device manager's checkpoint |
| `nodes/NODE/agent` | what the agent remembers |
| `brokers/UID/` | what is known of one pod's processes |
| `logs/` | what brokers wrote |
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from akri.core.errors import AkriError, InvalidValueError
from akri.core.ids import NodeName
from akri.rpc import MAX_PATH

__all__ = ["STATE_FORM", "NodeFolder", "StateFolder"]

STATE_FORM: Final = 1
"""The form that this release gives a state folder."""
_LONGEST_SOCKET: Final = "plugins/akri-00000000-00000000.sock"


@frozen
class NodeFolder:
    """What one node keeps; `path` is its folder."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the process that runs the node; while it is free, the node is not ready."""
        return self.path / "lock"

    @property
    def plugins(self) -> Path:
        """Where device plugins have their sockets, and the device manager its checkpoint."""
        return self.path / "plugins"

    @property
    def pod_resources(self) -> Path:
        """Socket of PodResources."""
        return self.path / "pod-resources.sock"

    @property
    def handlers(self) -> Path:
        """Where discovery handlers in processes of their own register: their DISCOVERY_HANDLERS_DIRECTORY."""
        return self.path / "handlers"

    @property
    def agent(self) -> Path:
        """What the agent remembers."""
        return self.path / "agent"

    def check(self) -> None:
        """Raise InvalidValueError if sockets in here would have longer paths than unix sockets may have."""
        surplus = len(os.fsencode(self.path / _LONGEST_SOCKET)) - MAX_PATH
        if surplus > 0:
            expected = (
                f"a path that is {surplus} bytes shorter: sockets lie in it, and a socket's path holds {MAX_PATH} bytes (see --state)"
            )
            raise InvalidValueError("state folder", str(self.path), expected)


@frozen
class StateFolder:
    """The whole folder; `path` is absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> StateFolder:
        """Name a folder by any path to it."""
        return cls(path.absolute())

    @property
    def store(self) -> Path:
        """The store."""
        return self.path / "store.sqlite"

    @property
    def controller_lock(self) -> Path:
        """Held by `akri up`."""
        return self.path / "controller.lock"

    @property
    def brokers(self) -> Path:
        """What is known of the processes of pods."""
        return self.path / "brokers"

    @property
    def logs(self) -> Path:
        """What brokers wrote."""
        return self.path / "logs"

    @property
    def version_file(self) -> Path:
        """The form of the folder."""
        return self.path / "version"

    def node(self, name: NodeName) -> NodeFolder:
        """What this node keeps. Raises InvalidValueError for a name that is no file name."""
        if not name or "/" in name or name in {".", ".."} or not name.isprintable():
            raise InvalidValueError("node name", name, "letters, digits, '-' and '.'")
        return NodeFolder(self.path / "nodes" / name)

    def nodes(self) -> Iterator[tuple[NodeName, NodeFolder]]:
        """List the nodes that ever ran here, in alphabetical order."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted((self.path / "nodes").iterdir()):
                yield NodeName(path.name), NodeFolder(path)

    def version(self) -> int | None:
        """Tell the form of the folder; None where there is none yet, or it is not a number. Raises OSError."""
        try:
            text = self.version_file.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def prepare(self, node: NodeName) -> NodeFolder:
        """Make what is missing, for our own user alone, and bring a folder of an earlier release into today's form; return the node's part.

        Raises AkriError with a sentence if that cannot be, or if the folder is of a later form than is known here.
        """
        part = self.node(node)
        part.check()
        try:
            found = self.version()
            if found is not None and found > STATE_FORM:
                message = (
                    f"state folder {self.path} has form {found}, and this program knows forms up to {STATE_FORM}: a later release made it"
                )
                raise AkriError(message)
            for folder in (self.path, part.path, part.plugins, part.handlers, part.agent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if found is None:
                self._upgrade(part)
                _replace(self.version_file, f"{STATE_FORM}\n")
        except OSError as error:
            raise AkriError(f"state folder {self.path} cannot be used: {error.strerror}: {error.filename}; see --state") from error
        return part

    def _upgrade(self, part: NodeFolder) -> None:
        """Take over what release 0.1 kept for its only node, which was what handlers had registered; its sockets are of no use."""
        former = self.path / "agent"
        remembered = former / "handlers.json"
        if remembered.is_file() and not (part.agent / remembered.name).exists():
            remembered.replace(part.agent / remembered.name)
        for folder in (self.path / "plugins", self.path / "handlers", former):
            for socket in folder.glob("*.sock"):
                socket.unlink(missing_ok=True)
            with suppress(OSError):  # not there, or with something in it that is not ours
                folder.rmdir()
        (self.path / "pod-resources.sock").unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
