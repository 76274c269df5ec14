"""A broker: it reads from its environment which device it was given, and uses it. `./dev demo` runs one for each device."""

from __future__ import annotations

import os
import signal

from akri import broker


def main() -> None:
    """Say what was given, read the first words of a disk if there is one, and serve until asked to end."""
    device = broker.device()
    for name in sorted(name for name in os.environ if name.endswith(device.suffix)):
        print(f"{name}={os.environ[name]}", flush=True)
    try:
        node = device.path("UDEV_DEVNODE")
    except broker.PropertyMissingError:
        print("this device has no device node: nothing to read", flush=True)
    else:
        with node.open("rb") as disk:
            words = disk.read(64).split(b"\0")[0].decode("utf-8", "replace").strip()
        print(f"the first words on {node} are {words!r}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
