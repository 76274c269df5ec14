"""A cluster that somebody else runs, in the place of one of ours: `--kubeconfig FILE`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ruamel.yaml import YAML

from tests.cluster.admin import Admin
from tests.cluster.nodes import Node
from tests.cluster.processes import Process

__all__ = ["ExternalApiServer"]


class ExternalApiServer:
    """What `ApiServer` offers, as far as another's cluster can: a test that asks for more is left out, with the reason.

    The current context of the kubeconfig must hold a bearer token, and the authority's certificate inside or as a file.
    Raises ValueError if it logs in by other means.
    """

    def __init__(self, kubeconfig: Path, state: Path) -> None:
        content = _read(kubeconfig)
        context = _named(content["contexts"], content["current-context"])["context"]
        cluster = _named(content["clusters"], context["cluster"])["cluster"]
        user = _named(content["users"], context["user"])["user"]
        if "token" not in user:
            raise ValueError(f"{kubeconfig}: user {context['user']} has no token (kubectl create token makes one), only {', '.join(user)}")
        self.kubeconfig = kubeconfig
        self.state = state
        self.url = str(cluster["server"]).rstrip("/")
        self.admin_token = str(user["token"])
        self.ca_file = state / "ca.crt"
        authority = cluster.get("certificate-authority-data")
        self.ca_file.write_bytes(
            base64.b64decode(authority) if authority else (kubeconfig.parent / cluster["certificate-authority"]).read_bytes()
        )

    @property
    def audit_log(self) -> Path:
        """Left out."""
        _left_out("its audit log cannot be read")

    def admin(self) -> Admin:
        """A client with the rights of the kubeconfig; an async context manager."""
        return Admin(self.url, self.ca_file, self.admin_token)

    def part(self, name: str) -> Process:
        """Left out."""
        _left_out(f"its {name} cannot be stopped")

    async def start_part(self, name: str) -> None:
        """Left out."""
        _left_out(f"its {name} cannot be started")

    async def restart_part(self, name: str, grace: float = 10.0) -> None:
        """Left out."""
        _left_out(f"its {name} cannot be restarted in {grace} s")

    async def start_scheduler(self) -> None:
        """Nothing to do: a cluster has one."""

    async def start_controller_manager(self, controllers: str = "") -> None:
        """Nothing to do: a cluster has one, with all controllers."""


class ExternalCluster:
    """What `Cluster` offers, as far as another's can."""

    def __init__(self, kubeconfig: Path, state: Path) -> None:
        self.api_server = ExternalApiServer(kubeconfig, state)
        self.state = state

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Left out."""
        _left_out("the machines of its nodes cannot be reached")

    def node(self, name: str) -> Node:
        """Left out."""
        _left_out(f"the machine of {name} cannot be reached")

    def part(self, name: str) -> Process:
        """Left out."""
        _left_out(f"its {name} cannot be stopped")

    def admin(self) -> Admin:
        """A client with the rights of the kubeconfig; an async context manager."""
        return self.api_server.admin()

    async def ready(self, names: Sequence[str] = (), *, seconds: float = 0.0) -> None:
        """Nothing to do: it is."""


def _left_out(why: str) -> NoReturn:
    pytest.skip(f"on the cluster of --kubeconfig {why}")


def _read(file: Path) -> dict[str, Any]:
    reader: Any = YAML(typ="safe", pure=True)
    content: dict[str, Any] = reader.load(file)
    return content


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)
