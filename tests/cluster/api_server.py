"""etcd and kube-apiserver as processes, with an audit log, and on demand kube-controller-manager and kube-scheduler.

All that they need and leave is in one state folder: keys, data, logs, settings. Another `ApiServer` on the same folder, in a
later process too, goes on with what is there and takes the running processes over.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.admin import Admin, healthy
from tests.cluster.pki import make_keys
from tests.cluster.processes import Process
from tests.cluster.settings import Settings

__all__ = ["ADMIN", "ALL_CONTROLLERS", "GARBAGE_COLLECTOR", "PARTS", "ApiServer"]

ADMIN = "admin"
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ALL_CONTROLLERS = "*"
GARBAGE_COLLECTOR = "garbage-collector-controller"

_STARTING_SECONDS = 120.0  # 2 on an idle machine, 15 on a busy one
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "RequestResponse", "resources": [{"group": "akri.sh"}], "omitManagedFields": True}, {"level": "Metadata"}],
}


class ApiServer:
    """An API server on 127.0.0.1, or on `bind`, with all rights for whoever has `admin_token`.

    `addresses`: further addresses or names that its certificate is made for. `users`: further users and their groups, for
    example `{"system:node:node-a": "system:nodes"}`; `kubeconfig_of` writes a file for one.
    The names of the parts are in `PARTS`.
    """

    def __init__(
        self,
        program: Path,
        state: Path,
        *,
        bind: str = "127.0.0.1",
        addresses: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        arguments: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.state = state
        self.ca_file = state / "pki" / "ca.crt"
        self.kubeconfig = state / "kubeconfig"
        self.audit_log = state / "audit.log"
        self._program = program
        self._arguments = dict(arguments or {})
        self._bind = bind
        self._addresses = ("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1", *addresses)
        self._users = {ADMIN: "system:masters", **(users or {})}
        self._settings = Settings.load(state)
        self._settings.give_tokens(self._users)
        self._parts = {
            "etcd": self._process("etcd", self._etcd()),
            "kube-apiserver": self._process("kube-apiserver", self._api_server()),
            "kube-controller-manager": self._process("kube-controller-manager", self._controller_manager()),
            "kube-scheduler": self._process("kube-scheduler", self._scheduler()),
        }

    @property
    def port(self) -> int:
        """The API server's port, on each of its addresses."""
        return self._settings.ports["kube-apiserver"]

    @property
    def url(self) -> str:
        """The API server's address on this machine, without a slash at the end."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def admin_token(self) -> str:
        """A bearer token that may do everything."""
        return self._settings.tokens[ADMIN]

    def token_of(self, user: str) -> str:
        """The bearer token of one of the users."""
        return self._settings.tokens[user]

    def admin(self) -> Admin:
        """A client with all rights; an async context manager."""
        return Admin(self.url, self.ca_file, self.admin_token)

    async def start(self) -> None:
        """Start etcd and the API server, or what of them does not run. Returns when requests are answered.

        Raises ProcessError with the end of the log of the part that failed.
        """
        self._write_files()
        await self.start_part("etcd")
        await self.start_part("kube-apiserver")

    async def stop(self) -> None:
        """Stop everything, the last started first. The state stays."""
        for name in reversed(self._parts):
            await self._parts[name].stop()

    # --- parts and their faults ----------------------------------------------------------------------------------------------

    def part(self, name: str) -> Process:
        """The process of one part, with `stop`, `kill`, `pause` and `resume`."""
        return self._parts[name]

    async def start_part(self, name: str) -> None:
        """Start one part, unless it runs, and wait until it is ready."""
        part = self._parts[name]
        if not part.alive:
            part.start()

        async def ready() -> bool:
            return await self._ready(name)

        await part.ready(ready, seconds=_STARTING_SECONDS)

    async def restart_part(self, name: str, grace: float = 10.0) -> None:
        """Stop one part, start it again and wait until it is ready. Data stays."""
        await self._parts[name].stop(grace)
        await self.start_part(name)

    async def start_scheduler(self) -> None:
        """Start kube-scheduler, unless it runs."""
        await self.start_part("kube-scheduler")

    async def start_controller_manager(self, controllers: str = GARBAGE_COLLECTOR) -> None:
        """Start kube-controller-manager with these controllers (comma separated, or `ALL_CONTROLLERS`) and wait until they work.

        The garbage collector looks for new kinds every 30 s only, so call this after custom resources were installed. A running
        one is started anew if there are others than at its start, or if other controllers are asked for; else nothing is done.
        """
        async with self.admin() as admin:
            items = await admin.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        wanted = (controllers, sorted(item["metadata"]["name"] for item in items))
        part = self._parts["kube-controller-manager"]
        if not (part.alive and wanted == (self._settings.controllers, self._settings.definitions)):
            await part.stop()
            part.log.unlink(missing_ok=True)
            self._settings.controllers, self._settings.definitions = wanted
            self._settings.save(self.state)
            self._parts["kube-controller-manager"] = self._process("kube-controller-manager", self._controller_manager())
        await self.start_part("kube-controller-manager")

    async def _ready(self, name: str) -> bool:
        port = self._settings.ports[name]
        if name == "etcd":
            return await healthy(f"http://127.0.0.1:{port}/health", self.ca_file)
        if name == "kube-apiserver":
            started = await healthy(f"{self.url}/readyz", self.ca_file, self.admin_token)
            return started and await healthy(f"{self.url}/api/v1/namespaces/default", self.ca_file, self.admin_token)
        if name == "kube-controller-manager" and self._collects_garbage():
            return "all resource monitors have synced" in self._parts[name].log.read_text(encoding="utf-8")
        return await healthy(f"https://127.0.0.1:{port}/{'readyz' if name == 'kube-scheduler' else 'healthz'}", self.ca_file)

    def _collects_garbage(self) -> bool:
        return self._settings.controllers == ALL_CONTROLLERS or GARBAGE_COLLECTOR in self._settings.controllers.split(",")

    # --- files ---------------------------------------------------------------------------------------------------------------

    def kubeconfig_of(self, user: str, file: Path, server: str | None = None) -> Path:
        """Write a kubeconfig, complete in itself, for one of the users. `server` is put in the place of `url`."""
        authority = base64.b64encode(self.ca_file.read_bytes()).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server or self.url, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": self._settings.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        _write(file, json.dumps(content, indent=1))
        return file

    def _write_files(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        self._settings.save(self.state)
        make_keys(self.state / "pki", self._addresses)
        lines = [f'{self._settings.tokens[user]},{user},{user},"{groups}"\n' for user, groups in self._users.items()]
        _write(self.state / "tokens.csv", "".join(lines))
        _write(self.state / "audit-policy.json", json.dumps(_AUDIT_POLICY))
        self.kubeconfig_of(ADMIN, self.kubeconfig)

    # --- command lines -------------------------------------------------------------------------------------------------------

    def _process(self, name: str, argv: Sequence[str]) -> Process:
        return Process(name, [*argv, *self._arguments.get(name, ())], state=self.state)

    def _etcd(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{self._settings.ports[name]}" for name in ("etcd", "etcd-peer"))
        return [
            "etcd",
            f"--data-dir={self.state / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # data survives the end of the process, not that of the machine
            "--logger=zap",
            "--log-outputs=stderr",
        ]

    def _api_server(self) -> list[str]:
        pki = self.state / "pki"
        return [
            str(self._program),
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._settings.ports['etcd']}",
            f"--bind-address={self._bind}",
            f"--secure-port={self.port}",
            "--advertise-address=127.0.0.1",  # otherwise that of the default route, which a machine need not have
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--cert-dir={pki}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--token-auth-file={self.state / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-policy-file={self.state / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",  # one file, never put aside
        ]

    def _controller_manager(self) -> list[str]:
        return [
            *self._client("kube-controller-manager"),
            f"--controllers={self._settings.controllers or GARBAGE_COLLECTOR}",
            f"--service-account-private-key-file={self.state / 'pki' / 'sa.key'}",
            f"--root-ca-file={self.ca_file}",
            "--use-service-account-credentials=false",
            "--node-monitor-grace-period=20s",  # 50 without this: tests wait for it
        ]

    def _scheduler(self) -> list[str]:
        return self._client("kube-scheduler")

    def _client(self, name: str) -> list[str]:
        pki = self.state / "pki"
        return [
            str(self._program),
            name,
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._settings.ports[name]}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
        ]


def _write(file: Path, text: str) -> None:
    file.touch(0o600)
    file.write_text(text, encoding="utf-8")
