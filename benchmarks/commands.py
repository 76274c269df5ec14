"""What the commands cost over a store of 1,000 Instances: people should have their answers within 0.3 s.

All 1,000 as documents, 34,000 lines for other programs to read, may take a little longer.
Processor time of the whole process, from its start to its end: on a machine with nothing else to do that is how long it takes. The
cases without an aim measure that time itself, which other programs lengthen.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from akri.cli.checks import usable_configurations
from akri.clock import SystemClock
from akri.core.configuration import Configuration, PodBroker
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import ANNOTATION_DEVICE_ID, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.naming import pod_labels
from akri.core.reports import DiscoveryReport, Event, Reason
from akri.platforms.local.sqlite.store import SqliteStore
from akri.scheduling.model import CreatePod
from benchmarks._harness import Case, main

INSTANCES: Final = 1000
BROKERS: Final = 100
CAPACITY: Final = 3
NODE: Final = NodeName("gateway")
AIM: Final = 300
AIM_OF_DOCUMENTS: Final = 400
COMMANDS: Final = (
    "--help",
    "get --help",
    "completion bash",
    "get akric",
    "get akrii",
    "get akrii -o wide",
    "get akrii -o json",
    "get akrii -o yaml",
    "get brokers",
    "get nodes",
    "get reports",
    "describe echo-000001",
    "env echo-000001",
    "explain echo-000001",
    "logs gateway-echo-000001-pod",
    "top --once",
    "apply -f {folder}/same.yaml",
)
DOCUMENT: Final = """\
apiVersion: akri.sh/v0
kind: Configuration
metadata: {name: echo}
spec:
  capacity: 3
  discoveryHandler: {name: debugEcho, discoveryDetails: 'descriptions: []'}
  brokerSpec: {brokerPodSpec: {containers: [{name: broker, command: [sleep, infinity]}]}}
"""
PROGRAM: Final = """
import os, resource, subprocess, sys, time
from pathlib import Path
program = str(Path(sys.executable).with_name("akri"))
began = time.perf_counter()
subprocess.run([program, *{words!r}], env={{**os.environ, "AKRI_STATE": {folder!r}}}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.perf_counter() - began
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print({what})
"""


async def fill(folder: Path) -> None:
    """Make a store with a Configuration, its Instances, brokers for some of them, a report and events."""
    async with SqliteStore(folder, SystemClock()) as store:
        await store.register_node(NODE)
        (wanted,) = usable_configurations([DOCUMENT])
        stored = await store.apply(wanted)
        assert isinstance(stored, Configuration)
        owner = OwnerReference("akri.sh/v0", "Configuration", stored.name, stored.metadata.uid, controller=True)
        for number in range(INSTANCES):
            instance = await store.put_instance(_instance(stored, owner, number))
            if number < BROKERS:
                labels = pod_labels(stored.name, instance.name, NODE, shared=True)
                key = ObjectKey("default", f"{NODE}-{instance.name}-pod")
                spec: JsonObject = stored.broker.spec if isinstance(stored.broker, PodBroker) else {}
                await store.cluster().execute(CreatePod(key, instance.key, NODE, owner, labels, {}, spec))
        await store.node(NODE).publish_report(DiscoveryReport(stored.key, stored.metadata.uid, NODE, 1, 1.0))
        for number in range(BROKERS):
            store.emit(Event("Instance", ObjectKey("default", f"echo-{number:06x}"), Reason.DEVICE_FOUND, "node gateway sees the device"))


def _instance(configuration: Configuration, owner: OwnerReference, number: int) -> Instance:
    name = f"{configuration.name}-{number:06x}"
    metadata = ObjectMeta(ObjectKey("default", name), annotations={ANNOTATION_DEVICE_ID: f"foo{number}"}, owners=(owner,))
    usage = {f"{name}-{index}": NODE if index == 0 and number < BROKERS else "" for index in range(CAPACITY)}
    properties = {"DEBUG_ECHO_DESCRIPTION": f"foo{number}"}
    cdi = f"akri.sh/{configuration.name}={number:06x}"
    return Instance(
        metadata, configuration.name, cdi, CAPACITY, shared=True, nodes=(NODE,), device_usage=usage, broker_properties=properties
    )


def cases(folder: str) -> list[Case]:
    """One for each command, and the times on the clock of two of them."""
    spent = "spent.ru_utime + spent.ru_stime"
    made = [
        Case(f"akri {words.split(' -f')[0]}", _program(words, folder, spent), unit="ms", aim=_aim(words), scale=1000, runs=10)
        for words in COMMANDS
    ]
    timed = [
        Case(f"akri {words}, on the clock", _program(words, folder, "wall"), "ms", None, 1000, 10) for words in ("get akric", "get akrii")
    ]
    return made + timed


def _aim(words: str) -> int:
    return AIM_OF_DOCUMENTS if words.endswith(("-o json", "-o yaml")) else AIM


def _program(words: str, folder: str, what: str) -> str:
    return PROGRAM.format(words=words.format(folder=folder).split(), folder=folder, what=what)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(fill(Path(made)))
        (Path(made) / "same.yaml").write_text(DOCUMENT, encoding="utf-8")
        main("commands", cases(made))
