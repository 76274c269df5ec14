"""Handlers are found by name, and their libraries are loaded only when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from akri.core.errors import InvalidDocumentError, InvalidValueError
from akri.core.ids import HandlerName
from akri.discovery.document import read_document
from akri.discovery.embedded import HANDLER_NAMES, details_parsers, embedded_handlers
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
    spec = cast("dict[str, dict[str, dict[str, str]]]", read_document(sample.name, sample.read_text("utf-8")))["spec"]
    handler = spec.get("discoveryHandler", {"name": "", "discoveryDetails": ""})
    parse = details_parsers().get(HandlerName(handler["name"]))
    assert parse is None or parse(handler["discoveryDetails"]) is not None


def test_parsers_refuse_bad_details() -> None:
    for parse in details_parsers().values():
        with pytest.raises(InvalidDocumentError, match="nonsense: unknown field"):
            parse("nonsense: 1")


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = """
import sys
from akri.discovery.embedded import details_parsers, embedded_handlers
embedded_handlers(["debugEcho", "udev"]), details_parsers()
print(sorted({"pyudev", "ruamel.yaml"} & set(sys.modules)))
"""
    assert run(program).strip() == "[]"


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("pyudev", "embedded_handlers(['udev'])['udev'](VirtualClock())", "akri[agent,udev]"),
        ("ruamel.yaml", "embedded_handlers(['debugEcho'])['debugEcho'](VirtualClock())", "akri[agent]"),
        ("ruamel.yaml", "details_parsers()['udev']('udevRules: []')", "akri[agent]"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(module: str, use: str, extra: str) -> None:
    program = f"""
import sys
sys.modules[{module!r}] = None
from akri.core.errors import DiscoveryError
from akri.discovery.embedded import details_parsers, embedded_handlers
from akri.testing.clock import VirtualClock
try:
    {use}
except DiscoveryError as error:
    print(error)
"""
    said = run(program)
    assert f"the module {module} is missing" in said
    assert extra in said
