"""Login as a pod: two variables and two files."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from akri.core.errors import InvalidValueError
from akri.platforms.kubernetes.login import TokenFile, in_pod, ssl_context
from akri.testing.clock import VirtualClock

HOST = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the kubelet puts into a pod."""
    (tmp_path / "token").write_text("first\n", encoding="ascii")
    authorities = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    (tmp_path / "ca.crt").write_bytes(Path(authorities).read_bytes())
    return tmp_path


def test_a_pod_finds_its_server(folder: Path) -> None:
    connection = in_pod(HOST, VirtualClock(), folder)

    assert connection.server == "https://10.96.0.1:443"
    assert connection.token() == "first"
    assert connection.ssl is not None
    assert connection.ssl.verify_mode is ssl.CERT_REQUIRED
    assert connection.ssl.check_hostname


def test_an_address_of_ipv6_stands_in_brackets(folder: Path) -> None:
    assert in_pod({**HOST, "KUBERNETES_SERVICE_HOST": "fd00::1"}, VirtualClock(), folder).server == "https://[fd00::1]:443"


def test_the_token_is_never_printed(folder: Path) -> None:
    assert "first" not in repr(in_pod(HOST, VirtualClock(), folder))


async def test_the_token_is_read_again_every_minute(folder: Path) -> None:
    clock = VirtualClock()
    token = TokenFile(folder / "token", clock)
    (folder / "token").write_text("second", encoding="ascii")
    await clock.advance(59)
    assert token() == "first"
    await clock.advance(1)
    assert token() == "second"


async def test_a_refused_token_is_read_again_at_once(folder: Path) -> None:
    token = TokenFile(folder / "token", VirtualClock())
    (folder / "token").write_text("second", encoding="ascii")
    await token.renew()
    assert token() == "second"


async def test_the_former_token_stays_while_the_file_cannot_be_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    token = TokenFile(folder / "token", clock)
    for damage in ("", "two words", "\x00"):
        (folder / "token").write_text(damage, encoding="ascii")
        await clock.advance(60)
        assert token() == "first"
    (folder / "token").unlink()
    await token.renew()
    assert token() == "first"
    assert caplog.text.count("the former token is kept") == 4
    assert "two words" not in caplog.text


@pytest.mark.parametrize(("missing", "value"), [("KUBERNETES_SERVICE_HOST", ""), ("KUBERNETES_SERVICE_PORT", "https")])
def test_a_variable_that_is_missing_is_named(folder: Path, missing: str, value: str) -> None:
    with pytest.raises(InvalidValueError, match=missing):
        in_pod({**HOST, missing: value}, VirtualClock(), folder)


@pytest.mark.parametrize("file", ["token", "ca.crt"])
def test_a_file_that_is_missing_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(InvalidValueError, match="expected a readable file") as raised:
        in_pod(HOST, VirtualClock(), folder)
    assert raised.value.value == str(folder / file)


def test_a_file_without_certificates_is_refused(folder: Path) -> None:
    (folder / "ca.crt").write_text("no certificate", encoding="ascii")
    with pytest.raises(InvalidValueError, match="certificate authorities") as raised:
        ssl_context(folder / "ca.crt")
    assert raised.value.value == str(folder / "ca.crt")


def test_authorities_need_no_key_identifier(folder: Path) -> None:
    assert not ssl_context(folder / "ca.crt").verify_flags & ssl.VERIFY_X509_STRICT


def test_reading_a_token_needs_no_loop(folder: Path) -> None:
    token = TokenFile(folder / "token", VirtualClock())
    asyncio.run(token.renew())
    assert token() == "first"
