"""Login by a kubeconfig, in all the ways that need no server."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from akri.core.errors import InvalidDocumentError
from akri.platforms.kubernetes.kubeconfig import from_kubeconfig

LOADED = "import sys; import akri.platforms.kubernetes.{}; print('kubernetes_asyncio' in sys.modules)"


def written(folder: Path, user: object, **cluster: object) -> Path:
    """A kubeconfig with one context."""
    file = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def plugin(folder: Path) -> dict[str, object]:
    """An exec plug-in that gives another token each time."""
    count = folder / "count"
    script = f"""n=$(cat {count} 2>/dev/null || echo 0); n=$((n+1)); echo $n > {count}
    printf '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{"token":"token-%s"}}}}' $n"""
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}


def certificate(folder: Path) -> tuple[bytes, bytes]:
    """A certificate and its key, made here."""
    key, file = folder / "key.pem", folder / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=user"]
    subprocess.run([*make, "-keyout", key, "-out", file], check=True, capture_output=True, timeout=30)
    return file.read_bytes(), key.read_bytes()


async def test_a_token(tmp_path: Path) -> None:
    connection = await from_kubeconfig(written(tmp_path, {"token": "secret"}))

    assert (connection.server, connection.token()) == ("https://10.0.0.1:6443", "secret")
    assert connection.ssl is not None
    assert "secret" not in repr(connection)


async def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first", encoding="ascii")
    connection = await from_kubeconfig(written(tmp_path, {"tokenFile": str(tmp_path / "token")}))
    (tmp_path / "token").write_text("second", encoding="ascii")

    assert connection.token() == "first"
    await connection.renew()
    assert connection.token() == "second"


async def test_a_plug_in_is_asked_again_when_its_token_is_refused(tmp_path: Path) -> None:
    connection = await from_kubeconfig(written(tmp_path, {"exec": plugin(tmp_path)}))

    assert connection.token() == "token-1"
    await connection.renew()
    assert connection.token() == "token-2"


async def test_a_client_certificate(tmp_path: Path) -> None:
    public, key = (base64.b64encode(part).decode() for part in certificate(tmp_path))
    user = {"client-certificate-data": public, "client-key-data": key}
    connection = await from_kubeconfig(written(tmp_path, user, **{"certificate-authority-data": public}))

    assert connection.token() is None
    assert connection.ssl is not None
    assert connection.ssl.cert_store_stats()["x509"] == 1


async def test_verification_is_left_out_only_where_the_file_says_so(tmp_path: Path) -> None:
    careless = await from_kubeconfig(written(tmp_path, {"token": "x"}, **{"insecure-skip-tls-verify": True}))
    careful = await from_kubeconfig(written(tmp_path, {"token": "x"}))

    assert careless.ssl is not None
    assert careful.ssl is not None
    assert (careless.ssl.verify_mode, careful.ssl.verify_mode) == (ssl.CERT_NONE, ssl.CERT_REQUIRED)
    assert careful.ssl.check_hostname


@pytest.mark.parametrize(
    ("user", "cluster", "named"),
    [
        ({"username": "me", "password": "hunter2"}, {}, "passwords are not supported"),
        ({"token": "x"}, {"proxy-url": "http://proxy:3128"}, "proxy-url is not supported"),
        ({"token": "x"}, {"tls-server-name": "other"}, "tls-server-name is not supported"),
        ({"token": "x"}, {"server": "10.0.0.1"}, "expected an URL"),
        ({"token": "x"}, {"certificate-authority-data": base64.b64encode(b"rubbish").decode()}, "certificates cannot be read"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/plugin"}}, {}, "cannot log in"),
    ],
)
async def test_what_is_wrong_is_named(tmp_path: Path, user: object, cluster: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidDocumentError, match=named) as raised:
        await from_kubeconfig(written(tmp_path, user, **cluster))

    assert "hunter2" not in str(raised.value)


async def test_a_file_or_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocumentError, match="nowhere"):
        await from_kubeconfig(tmp_path / "nowhere")
    with pytest.raises(InvalidDocumentError, match="elsewhere"):
        await from_kubeconfig(written(tmp_path, {"token": "x"}), "elsewhere")


@pytest.mark.parametrize("module", ["client", "watching", "login", "kubeconfig"])
def test_the_library_is_not_loaded_before_it_is_needed(module: str) -> None:
    done = subprocess.run([sys.executable, "-I", "-c", LOADED.format(module)], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False"
