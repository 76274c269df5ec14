"""Brokers read exactly what core composes for them, with types, and errors say what is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri import broker
from akri.core.device import Device as CoreDevice
from akri.core.edits import container_edits
from akri.core.ids import DeviceId, InstanceName

TWO = {
    "PATH": "/bin",
    "NAME": "foo0",
    "NAME_8120FE": "foo0",
    "NAME_A19705": "foo1",
    "WIDTH": "800",
    "WIDTH_8120FE": "800",
}
ONE = {name: value for name, value in TWO.items() if not name.endswith("A19705")}


def camera(**values: str) -> broker.Device:
    return broker.Device("8120FE", values)


PROPERTIES = st.dictionaries(st.from_regex(r"[A-Z][A-Za-z0-9]{0,4}", fullmatch=True), st.text(alphabet="ab =/\n", max_size=5), min_size=1)
DIGESTS = st.integers(0, 2**24 - 1).map(lambda n: f"{n:06x}") | st.integers(0, 2**32 - 1).map(lambda n: f"{n:08x}")


@given(st.dictionaries(DIGESTS, PROPERTIES, max_size=4), st.dictionaries(st.sampled_from(["PATH", "HOME_OFFICE"]), st.text()))
def test_reads_what_core_composes(instances: dict[str, dict[str, str]], others: dict[str, str]) -> None:
    edits = container_edits(
        [(InstanceName(f"cameras-{digest}"), CoreDevice(DeviceId(digest), values), {}) for digest, values in instances.items()]
    )
    found = broker.devices({**others, **edits.environment})
    assert {device.suffix: dict(device) for device in found} == {digest.upper(): values for digest, values in instances.items()}
    assert [device.suffix for device in found] == sorted(device.suffix for device in found)


def test_a_property_may_look_as_if_it_had_a_suffix() -> None:
    environ = {"KEY": "a", "KEY_8120FE": "a", "KEY_ABCDEF": "b", "KEY_ABCDEF_8120FE": "b"}
    assert broker.devices(environ) == (broker.Device("8120FE", {"KEY": "a", "KEY_ABCDEF": "b"}),)


@pytest.mark.parametrize("variable", ["KEY_8120F", "KEY_8120fe", "KEY_8120FE0", "KEY_8120FG", "OTHER_8120FE", "8120FE", "KEY8120FE"])
def test_other_variables_are_no_devices(variable: str) -> None:
    assert broker.devices({"KEY": "a", variable: "a"}) == ()


def test_gives_the_one_device_or_the_one_that_is_named() -> None:
    assert broker.device(environ=ONE) == camera(NAME="foo0", WIDTH="800")
    assert broker.device("a19705", TWO).text("NAME") == "foo1"
    assert broker.device("8120FE", TWO).text("NAME") == "foo0"


@pytest.mark.parametrize(
    ("suffix", "environ", "said"),
    [
        (None, TWO, "several devices are in the environment, so a suffix is needed: there is 8120FE with NAME, WIDTH, A19705 with NAME"),
        (None, {"PATH": "/bin"}, "no device is in the environment: there is no variable with a suffix, as in KEY_8120FE"),
        ("ffffff", ONE, "device FFFFFF is not in the environment: there is 8120FE with NAME, WIDTH"),
    ],
)
def test_a_missing_device_is_told_what_is_there(suffix: str | None, environ: dict[str, str], said: str) -> None:
    with pytest.raises(broker.DeviceMissingError) as caught:
        broker.device(suffix, environ)
    assert str(caught.value) == said


def test_plain_names_are_read_on_request() -> None:
    everything = broker.properties(TWO)
    assert (everything.text("NAME"), everything.text("NAME_A19705"), everything.integer("WIDTH")) == ("foo0", "foo1", 800)
    with pytest.raises(broker.PropertyMissingError, match=r"property HEIGHT is missing: the environment has NAME, WIDTH$"):
        everything.text("HEIGHT")
    with pytest.raises(broker.PropertyMissingError, match=r"property HEIGHT is missing: the environment has none$"):
        broker.properties({}).text("HEIGHT")


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKRI_TEST", "here")
    monkeypatch.setenv("AKRI_TEST_ABCDEF012345", "here")
    assert broker.device("ABCDEF012345").text("AKRI_TEST") == "here"
    assert broker.properties().text("AKRI_TEST") == "here"


Reader = Callable[[broker.Device], object]


READERS: dict[str, tuple[Reader, dict[str, object], list[str]]] = {
    "text": (lambda d: d.text("X"), {"": "", " any ": " any "}, []),
    "integer": (lambda d: d.integer("X"), {"0": 0, "-12": -12, "+7": 7, "007": 7}, ["", "-", "1.0", "1_0", " 1", "0x1", "\u0663", "one"]),
    "number": (lambda d: d.number("X"), {"1": 1.0, "-0.5": -0.5, "1e3": 1e3}, ["", "nan", "inf", "-inf", "1e999", "1_0", "\u0663", "x"]),
    "boolean": (
        lambda d: d.boolean("X"),
        {"true": True, "Yes": True, "ON": True, "1": True, "false": False, "no": False, "Off": False, "0": False},
        ["", "2", "maybe", " true"],
    ),
    "path": (lambda d: d.path("X"), {"/dev/sda": Path("/dev/sda"), "/": Path("/")}, ["", "dev/sda", "~/x", "/a\0b"]),
}


@pytest.mark.parametrize("kind", READERS)
def test_reads_with_a_type(kind: str) -> None:
    read, good, bad = READERS[kind]
    assert {text: read(camera(X=text)) for text in good} == good
    for text in bad:
        with pytest.raises(broker.PropertyInvalidError, match="property X of device 8120FE is "):
            read(camera(X=text))
    with pytest.raises(broker.PropertyMissingError, match="property X is missing: device 8120FE has Y"):
        read(camera(Y="1"))


def test_a_default_stands_in_for_what_is_missing_only() -> None:
    device = camera(WIDTH="wide")
    assert device.integer("HEIGHT", default=600) == 600
    assert device.number("RATE", default=2.5) == 2.5
    assert device.boolean("FAST", default=False) is False
    assert device.path("FILE", default=Path("/x")) == Path("/x")
    assert device.text("TITLE", default="") == ""
    with pytest.raises(broker.PropertyInvalidError, match="property WIDTH of device 8120FE is 'wide': expected a whole number"):
        device.integer("WIDTH", default=800)


def test_a_long_text_is_cut_in_messages() -> None:
    with pytest.raises(broker.PropertyInvalidError) as caught:
        camera(X="a" * 1000).integer("X")
    assert len(str(caught.value)) < 150
    assert str(caught.value).endswith("...: expected a whole number")


def test_values_do_not_change() -> None:
    values = {"NAME": "foo0"}
    device = broker.Device("8120FE", values)
    values["NAME"] = "other"
    assert device["NAME"] == "foo0"
    with pytest.raises(AttributeError, match="Device does not change: suffix cannot be set"):
        device.suffix = "A19705"
    with pytest.raises(AttributeError, match="Device does not change"):
        setattr(device, "extra", 1)  # noqa: B010 - what a type checker refuses is tried at run time


def test_values_compare_by_content() -> None:
    assert camera(A="1", B="2") == camera(B="2", A="1")
    assert hash(camera(A="1")) == hash(camera(A="1"))
    assert camera(A="1") != broker.Device("A19705", {"A": "1"})
    assert camera(A="1") != camera(A="2")
    assert camera(A="1") != {"A": "1"}
    assert broker.Properties({"A": "1"}) == {"A": "1"}
    assert hash(broker.Properties({"A": "1"})) == hash(broker.Properties({"A": "1"}))


def test_printing_shows_names_and_no_values() -> None:
    assert repr(camera(PASSWORD="secret", USER="me")) == "<Device of device 8120FE: PASSWORD, USER>"
    assert (list(camera(B="2", A="1")), len(camera(A="1"))) == (["A", "B"], 1)


def test_importing_loads_the_standard_library_only() -> None:
    program = "import sys; before = set(sys.modules); import akri.broker; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    foreign = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"akri", "akri.broker", "akri.broker._environment"}
