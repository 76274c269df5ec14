"""What a container runs as a process of this machine, and whether it can be run at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from akri.core.errors import InvalidValueError

__all__ = ["Command"]


@frozen
class Command:
    """What to run. place: where the command stands in the spec, for messages. The environment is all that the child gets."""

    place: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str = ""

    def check(self) -> None:
        """Raise InvalidValueError if there is no command, no such program or no such working directory."""
        if not self.arguments:
            raise InvalidValueError(self.place, [], "a command, or an image and podman or containerd to run it")
        directory = Path(self.working_directory or ".")
        if not directory.is_dir():
            raise InvalidValueError(self.place.replace("command", "workingDir"), self.working_directory, "a directory that exists")
        program = self.arguments[0]
        path = self.environment.get("PATH", "")
        named = "/" in program
        found = shutil.which(str(directory / program) if named else program, path=path)
        if found is None:
            searched = "" if named else f" (looked in PATH {path!r})"
            raise InvalidValueError(self.place, program, f"a program that exists and may be run{searched}")
