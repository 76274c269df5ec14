"""Handlers are found by name, and their libraries are loaded only when they are used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName
from akri.discovery.debug_echo.details import parse_details as parse_debug_echo
from akri.discovery.document import read_document
from akri.discovery.embedded import HANDLER_NAMES, embedded_handlers
from akri.discovery.udev.details import parse_details as parse_udev
from akri.testing.clock import VirtualClock

SAMPLES = Path(__file__).parents[2] / "data" / "upstream" / "configurations"


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout


def test_gives_the_handlers_that_are_enabled() -> None:
    assert set(embedded_handlers(["udev"])) == {"udev"}
    assert set(embedded_handlers(HANDLER_NAMES)) == {"debugEcho", "udev"}
    assert embedded_handlers([]) == {}


def test_an_unknown_handler_is_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match=r"discovery handler: 'udv' is not valid: expected one of debugEcho, udev"):
        embedded_handlers(["udev", "udv"])


@pytest.mark.parametrize("shared", [True, False])
def test_handlers_say_who_can_reach_their_devices(*, shared: bool) -> None:
    factories = embedded_handlers(HANDLER_NAMES, debug_echo_shared=shared)
    handlers = {name: factory(VirtualClock(), poll_interval=2.5) for name, factory in factories.items()}
    assert {name: handler.name for name, handler in handlers.items()} == {name: name for name in HANDLER_NAMES}
    assert handlers[HandlerName("debugEcho")].shared is shared
    assert handlers[HandlerName("udev")].shared is False


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_upstream_samples_are_accepted(sample: Path) -> None:
    parsers: dict[str, Callable[[object], object]] = {"debugEcho": parse_debug_echo, "udev": parse_udev}
    spec = cast("dict[str, dict[str, dict[str, str]]]", read_document(sample.name, sample.read_text("utf-8")))["spec"]
    handler = spec.get("discoveryHandler", {"name": "none: an Instance", "discoveryDetails": ""})
    if handler["name"] in parsers:
        assert parsers[handler["name"]](read_document("details", handler["discoveryDetails"])) is not None
    else:
        assert handler["name"] in {"onvif", "opcua", "none: an Instance"}


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = """
import sys
from akri.discovery.embedded import embedded_handlers
embedded_handlers(["debugEcho", "udev"])
print(sorted({"pyudev", "ruamel.yaml"} & set(sys.modules)))
"""
    assert run(program).strip() == "[]"


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("pyudev", "embedded_handlers(['udev'])['udev'](VirtualClock())", "akri[agent,udev]"),
        ("ruamel.yaml", "embedded_handlers(['debugEcho'])['debugEcho'](VirtualClock())", "akri[agent]"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(module: str, use: str, extra: str) -> None:
    program = f"""
import sys
sys.modules[{module!r}] = None
from akri.core.errors import DiscoveryError
from akri.discovery.embedded import embedded_handlers
from akri.testing.clock import VirtualClock
try:
    {use}
except DiscoveryError as error:
    print(error)
"""
    said = run(program)
    assert f"the module {module} is missing" in said
    assert extra in said
