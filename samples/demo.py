"""The demonstration behind `./dev demo`: devices become Instances, each gets a broker, one comes and goes. Ends by itself."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error

from akri.cli.news import News
from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import HandlerName, ObjectKey
from akri.core.metadata import JsonObject, ObjectMeta
from akri.discovery.embedded import HANDLER_NAMES, embedded_handlers
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.store import LocalStore
from akri.scheduling.model import Phase
from akri.testing.loop import LoopDevice, loop_device, loop_devices_refused
from akri_standalone.settings import Settings
from akri_standalone.temporary import temporary_machine

PATIENCE = 30.0
"""Seconds that a step may take before the demonstration gives up."""
BROKER = Path(__file__).with_name("broker.py")
STARTED = time.monotonic()

NEXT = """
What to try next:
  .venv/bin/akri up -f samples/debug-echo.yaml        the same by hand; Ctrl-C ends it, and leaves the brokers running
  .venv/bin/akri down                                 ends the brokers, too
  .venv/bin/akri validate samples/debug-echo.yaml     what a file means, or what is wrong with it
  samples/broker.py, docs/broker.md                   write a broker of your own in ten lines
  docs/tutorial.md                                    from installing to a broker that survives a power cut
  ./dev test                                          run the tests
"""


def title(text: str) -> None:
    """Print what comes next."""
    print(f"\n== {text}", flush=True)


def configuration(name: str, handler: str, details: str) -> Configuration:
    """Ask a handler for devices, and run samples/broker.py for each of them."""
    container: JsonObject = {
        "name": "broker",
        "command": [sys.executable, str(BROKER)],
        "resources": {"limits": {"{{PLACEHOLDER}}": "1"}},
    }
    metadata = ObjectMeta(ObjectKey("default", name))
    return Configuration(metadata, DiscoveryRequest(HandlerName(handler), details), broker=PodBroker({"containers": [container]}))


def echo(*devices: str) -> Configuration:
    """Configure devices that exist only in the Configuration."""
    return configuration("echo", "debugEcho", f"descriptions: {list(devices)}")


class Demonstration:
    """One machine, and the steps that show what it does."""

    def __init__(self, folder: Path) -> None:
        """Take the folder for the machine's files and for those behind its disks; nothing runs yet."""
        self.folder = folder
        self.changed = asyncio.Event()
        self.store: LocalStore

    def tell(self, about: str, message: str) -> None:
        """Print what happened, and when."""
        print(f"{time.monotonic() - STARTED:6.2f} s  {about:<24} {message}", flush=True)
        self.changed.set()

    def broker_line(self, pod: ObjectKey, _container: str, line: str) -> None:
        """Print a line that a broker wrote."""
        self.tell(pod.name, f"| {line}")

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for something to happen; give up with a sentence that says what did not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
                return
        sys.exit(f"the demonstration failed: within {PATIENCE:g} s it did not happen that {what}")

    def running(self) -> int:
        """Count the brokers that run."""
        return sum(pod.phase is Phase.RUNNING for pod in self.store.pods)

    async def brokers(self, count: int) -> None:
        """Wait until there are so many Instances, and a broker runs for each, and had time to speak."""
        await self.until(f"{count} brokers run", lambda: len(self.store.instances) == count == self.running())
        await asyncio.sleep(0.5)

    async def run(self) -> None:
        """Show everything, and leave nothing behind, whatever happens."""
        settings = Settings(StateFolder.at(self.folder / "run"), handlers=embedded_handlers(HANDLER_NAMES))
        async with temporary_machine(settings, self.broker_line) as machine, asyncio.TaskGroup() as group:
            self.store = machine.store
            news = News(self.store, self.tell)
            tasks = [group.create_task(work) for work in (news.instances(), news.pods(), news.reports(), news.events())]
            with ExitStack() as devices:
                await self.show(devices)
            for task in tasks:
                task.cancel()

    async def show(self, devices: ExitStack) -> None:
        """Show what every machine has, then what this one has."""
        title("Two devices of debugEcho, which exist only in their Configuration; each gets a broker")
        await self.store.apply(echo("foo0", "foo1"))
        await self.brokers(2)
        refused = loop_devices_refused()
        if refused:
            await self.show_existing_device(refused)
        else:
            await self.show_loop_device(devices)

    async def show_existing_device(self, refused: str) -> None:
        """Show a device that is there anyway, and let one of debugEcho come and go."""
        title(f"An existing device of this machine, /dev/null, because {refused}")
        await self.store.apply(configuration("disk", "udev", """udevRules: ['SUBSYSTEM=="mem", KERNEL=="null"']"""))
        await self.brokers(3)
        title("A device is added: the Configuration of debugEcho is edited")
        await self.store.apply(echo("foo0", "foo1", "foo2"))
        await self.brokers(4)
        title("It is removed again, and its broker with it")
        await self.store.apply(echo("foo0", "foo1"))
        await self.brokers(3)

    async def show_loop_device(self, devices: ExitStack) -> None:
        """Show two block devices, of which one comes and goes."""
        title("A real block device of this machine: a loop device with a file behind it")
        rule = f"""KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{self.folder}/*.img" """.strip()
        await self.store.apply(configuration("disk", "udev", f"udevRules: ['{rule}']"))
        devices.enter_context(self.disk("first"))
        await self.brokers(3)
        title("A second one is plugged in while the first is in use")
        with ExitStack() as second:
            second.enter_context(self.disk("second"))
            await self.brokers(4)
            title("It is pulled out: its Instance goes at once, and its broker with it")
        await self.brokers(3)

    @contextmanager
    def disk(self, name: str) -> Generator[LoopDevice]:
        """Make a loop device with a small file behind it."""
        file = self.folder / f"{name}.img"
        file.write_bytes(f"Hello from the {name} disk\n".encode().ljust(1024 * 1024, b"\0"))
        with loop_device(file) as device:
            self.tell(device.node.name, f"plugged in, with {file.name} behind it")
            yield device
            self.tell(device.node.name, "pulled out")


def main() -> None:
    """Run the demonstration; the exit code is 0 if everything happened."""
    print("Akri finds devices, records each as an Instance, and hands it to a broker. Here it does so on this machine alone:")
    print("agent, controller, device manager and store in one process, joined by the kubelet's device plugin protocol.")
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        asyncio.run(Demonstration(Path(folder)).run())
    title(f"Done in {time.monotonic() - STARTED:.1f} s: every device had its broker, and no broker is left")
    print(NEXT)


if __name__ == "__main__":
    main()
