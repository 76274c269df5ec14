"""What one control plane was given when it was first started: kept in its state folder, so that a later process goes on with it."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

import attrs
import cattrs.preconf.json

__all__ = ["Settings", "free_ports"]

PORTS = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_CONVERTER = cattrs.preconf.json.make_converter()


@attrs.define
class Settings:
    """Ports by part, tokens by user, the controllers that run and the custom resources that they knew when they started."""

    ports: dict[str, int]
    tokens: dict[str, str] = attrs.Factory(dict[str, str])
    controllers: str = ""
    definitions: list[str] = attrs.Factory(list[str])

    @classmethod
    def load(cls, state: Path) -> Settings:
        """Those of this state folder, or new ones."""
        try:
            return _CONVERTER.loads((state / "settings.json").read_text(encoding="utf-8"), cls)
        except FileNotFoundError:
            return cls(ports=dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))

    def save(self, state: Path) -> None:
        """Write them into the state folder, whole or not at all."""
        unfinished = state / "settings.json.new"
        unfinished.touch(0o600)
        unfinished.write_text(_CONVERTER.dumps(self), encoding="utf-8")
        unfinished.replace(state / "settings.json")

    def give_tokens(self, users: Iterable[str]) -> None:
        """Make a token for each user that has none."""
        for user in users:
            self.tokens.setdefault(user, secrets.token_urlsafe(24))


def free_ports(count: int) -> list[int]:
    """TCP ports that nothing listens on: below the range from which the kernel picks those of outgoing connections.

    They are chosen by chance among 10,000, so that two processes that ask at the same time hardly ever get the same one.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randint(20_000, 29_999)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
