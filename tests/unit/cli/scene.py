"""A store with a bit of everything in it, which commands look at in tests; ages are a bit more than 2 hours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import evolve

from akri.cli.where import Opener
from akri.core.codec import read_configuration
from akri.core.configuration import Configuration
from akri.core.ids import HandlerName, InstanceName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_DEVICE_ID, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.naming import pod_labels
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Event, HandlerReport, Reason
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.user import LocalUser
from akri.ports import UserPlatform
from akri.scheduling.model import ANNOTATION_ATTEMPT, CreateJob, CreatePod, Phase
from akri.testing.clock import VirtualClock

__all__ = ["CAMERAS", "ECHO", "NODES", "Scene", "configuration_document", "key"]

NODES: Final = (NodeName("node-a"), NodeName("node-b"))
ECHO: Final = ("echo-8120fe", "echo-a19705")
CAMERAS: Final = "cameras"
_SPEC: Final[JsonObject] = {
    "containers": [
        {
            "name": "main",
            "image": "broker",
            "env": [
                {"name": "LEVEL", "value": "info"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "safe", "key": "word"}}},
                {"name": "COLOUR", "value": "red"},
            ],
            "resources": {"limits": {"akri.sh/echo-8120fe": "1"}},
        }
    ]
}


def key(name: str, namespace: str = "default") -> ObjectKey:
    """Name an object."""
    return ObjectKey(namespace, name)


def configuration_document(name: str, namespace: str = "default", capacity: int = 2) -> JsonObject:
    """Write a Configuration as a user does."""
    return {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "discoveryHandler": {"name": "debugEcho", "discoveryDetails": "# two of them\ndescriptions:\n- foo0\n- foo1\n"},
            "capacity": capacity,
            "brokerSpec": {"brokerPodSpec": _SPEC},
            "brokerProperties": {"COLOUR": "green"},
        },
    }


class Scene:
    """The store. `opener` gives it to commands; several commands see one store."""

    def __init__(self, folder: Path | None = None) -> None:
        """Fill it."""
        self.store = MemoryStore(VirtualClock(wall=time.time() - 7210))
        self.user = LocalUser(self.store, folder)
        asyncio.run(self._fill())

    @property
    def opener(self) -> Opener:
        """What the group of commands takes as its `obj`."""

        @asynccontextmanager
        async def opened(_state: Path) -> AsyncGenerator[UserPlatform]:
            yield self.user

        return Opener(opened)

    async def _fill(self) -> None:
        for node in NODES:
            await self.store.register_node(node)
        await self.store.set_node_ready(NODES[1], ready=False)
        echo = await self._apply("echo")
        other = await self._apply(CAMERAS, "site", 1)
        for index, name in enumerate(ECHO):
            await self._put_instance(echo, name, f"foo{index}", held=index == 0)
        await self._run_broker(echo, ECHO[0])
        await self._run_job(other)
        await self._tell(echo, other)

    async def _apply(self, name: str, namespace: str = "default", capacity: int = 2) -> Configuration:
        stored = await self.store.apply(read_configuration(configuration_document(name, namespace, capacity)))
        assert isinstance(stored, Configuration)
        return stored

    async def _put_instance(self, owner: Configuration, name: str, device: str, *, held: bool) -> None:
        slots = {f"{name}-{index}": "" for index in range(owner.capacity)}
        metadata = ObjectMeta(key(name, owner.key.namespace), annotations={ANNOTATION_DEVICE_ID: device}, owners=(_owner(owner),))
        await self.store.put_instance(
            Instance(
                metadata,
                owner.name,
                f"akri.sh/{owner.name}={name.rpartition('-')[2]}",
                owner.capacity,
                shared=True,
                nodes=NODES,
                device_usage={**slots, **({f"{name}-0": NODES[0], f"{name}-1": f"C:echo-0:{NODES[1]}"} if held else {})},
                broker_properties={"DEBUG_ECHO_DESCRIPTION": device, "COLOUR": "green"},
            )
        )

    async def _run_broker(self, owner: Configuration, instance: str) -> None:
        cluster = self.store.cluster()
        labels = pod_labels(owner.name, InstanceName(instance), NODES[0], shared=True)
        for index, node in enumerate(NODES):
            name = key(f"{node}-{instance}-pod")
            annotations = {ANNOTATION_ATTEMPT: str(3 * index)}
            await cluster.execute(CreatePod(name, key(instance), node, _owner(owner), labels, annotations, _SPEC))
            pod = self.store.pod(name)
            assert pod is not None
            phase, reason = (Phase.RUNNING, "") if index == 0 else (Phase.FAILED, "Error")
            await self.store.change_pod(pod, lambda one, phase=phase, reason=reason: evolve(one, phase=phase, reason=reason))  # type: ignore[misc]

    async def _run_job(self, owner: Configuration) -> None:
        labels = {"controller": "akri.sh"}
        spec: JsonObject = {"template": {"spec": _SPEC}}
        name = key("cameras-ffffff-1-job", "site")
        await self.store.cluster().execute(CreateJob(name, key("cameras-ffffff", "site"), _owner(owner), labels, {}, spec))

    async def _tell(self, echo: Configuration, other: Configuration) -> None:
        cluster, wall = self.store.cluster(), time.time() - 7210
        good = Condition("Accepted", status=True, reason=Reason.ACCEPTED, since=wall)
        bad = Condition("Discovering", status=False, reason=Reason.HANDLER_MISSING, message="no node has a handler onvif", since=wall)
        await cluster.set_status(echo.key, echo.metadata.uid, ConfigurationStatus(1, (good,), 2, 2, 2, 1))
        await cluster.set_status(other.key, other.metadata.uid, ConfigurationStatus(1, (good, bad)))
        answered = HandlerReport(HandlerName("debugEcho"), "embedded", wall, wall, 2, 3, {"by name": 1})
        failed = HandlerReport(HandlerName("debugEcho"), "embedded", wall, error="it is \x1b[31mred\x1b[0m")
        for node, handler in zip(NODES, (answered, failed), strict=True):
            report = DiscoveryReport(echo.key, echo.metadata.uid, node, 1, wall, (handler,))
            await self.store.node(node).publish_report(report)
        self.store.emit(Event("Configuration", echo.key, Reason.ACCEPTED, "it can be used"))
        self.store.emit(Event("Instance", key(ECHO[0]), Reason.SLOT_REFUSED, "all slots are held", warning=True))


def _owner(configuration: Configuration) -> OwnerReference:
    return OwnerReference("akri.sh/v0", "Configuration", configuration.name, configuration.metadata.uid, controller=True)
