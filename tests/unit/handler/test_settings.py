"""Settings of `akri-handler`: flags win over the environment, and everything that is wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from akri.core.errors import InvalidDocumentError
from akri.discovery.serving import Place
from akri.discovery.tls import TlsFiles
from akri_handler.settings import HANDLERS, Settings, read_settings

TLS = {f"AKRI_TLS_{name.upper()}": f"/tls/{name}" for name in ("certificate", "key", "authorities")}


def problems(*arguments: str, **environment: str) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        read_settings(arguments, environment)
    return [str(problem) for problem in refused.value.problems]


def test_without_a_word_it_serves_where_upstream_does() -> None:
    assert read_settings(["udev"], {}) == Settings(HANDLERS["udev"], Place(Path("/var/lib/akri")))


def test_the_environment_is_that_of_upstream() -> None:
    environment = {
        "DISCOVERY_HANDLERS_DIRECTORY": "/a",
        "POD_IP": "10.1.2.3",
        "DEBUG_ECHO_INSTANCES_SHARED": "FALSE",
        "METRICS_PORT": "8080",
    }

    settings = read_settings(["debug-echo"], environment)

    assert settings == Settings(HANDLERS["debug-echo"], Place(Path("/a"), "10.1.2.3"), shared=False, metrics_port=8080)


def test_empty_variables_are_not_set() -> None:
    environment = dict.fromkeys(["DISCOVERY_HANDLERS_DIRECTORY", "POD_IP", "DEBUG_ECHO_INSTANCES_SHARED", "METRICS_PORT"], "")

    assert read_settings(["udev"], environment) == read_settings(["udev"], {})


def test_flags_win() -> None:
    environment = {"DISCOVERY_HANDLERS_DIRECTORY": "bad", "POD_IP": "bad", "DEBUG_ECHO_INSTANCES_SHARED": "bad", "METRICS_PORT": "bad"}
    flags = ["--folder", "/b", "--network", "127.0.0.1:7", "--not-shared", "--metrics-port", "9", "--poll-interval", "2.5", "-v"]

    settings = read_settings(["debug-echo", *flags, "--availability", "/x"], environment)

    place = Place(Path("/b"), "127.0.0.1", 7)
    assert settings == Settings(
        HANDLERS["debug-echo"], place, shared=False, availability=Path("/x"), poll_interval=2.5, metrics_port=9, verbose=True
    )
    assert read_settings(["udev", "--unix"], {"POD_IP": "bad"}).place == Place()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("10.1.2.3", "10.1.2.3", 10000), ("10.1.2.3:1", "10.1.2.3", 1), ("fd00::1", "fd00::1", 10000), ("[fd00::1]:65535", "fd00::1", 65535)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    place = read_settings(["udev", "--network", text], {}).place

    assert (place.host, place.port) == (host, port)


@pytest.mark.parametrize(
    "text", ["host", "10.1.2.3:", "10.1.2.3:0", "10.1.2.3:65536", "10.1.2.3:x", "10.1.2", "[fd00::1", ":1", "10.1.2.3:٣"]
)
def test_what_is_no_address(text: str) -> None:
    assert problems("udev", "--network", text)[0].startswith("--network: ")


def test_tls_needs_all_three_files_and_a_network() -> None:
    files = TlsFiles(Path("/tls/certificate"), Path("/tls/key"), Path("/tls/authorities"))

    assert read_settings(["udev", "--network", "10.1.2.3"], TLS).place.tls == files
    assert problems("udev", **TLS) == ["AKRI_TLS_CERTIFICATE: a unix socket has no TLS: expected --network as well"]
    assert problems("udev", "--network", "10.1.2.3", "--tls-key", "/k") == [
        "AKRI_TLS_CERTIFICATE: is missing: certificate, key and authorities belong together",
        "AKRI_TLS_AUTHORITIES: is missing: certificate, key and authorities belong together",
    ]


def test_all_problems_are_said_at_once() -> None:
    found = problems("udev", "--folder", "x", POD_IP="x", DEBUG_ECHO_INSTANCES_SHARED="x", AKRI_POLL_INTERVAL="nan", METRICS_PORT="x")

    assert [text.split(":")[0] for text in found] == [
        "POD_IP",
        "--folder",
        "DEBUG_ECHO_INSTANCES_SHARED",
        "AKRI_POLL_INTERVAL",
        "METRICS_PORT",
    ]


@pytest.mark.parametrize("arguments", [[], ["onvif"], ["udev", "--no-such-flag"], ["udev", "--unix", "--network", "10.1.2.3"]])
def test_what_is_no_command_line_ends_the_process(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, {})

    assert ended.value.code == 2
    assert "usage: akri-handler" in capsys.readouterr().err
