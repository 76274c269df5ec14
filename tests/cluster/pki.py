"""Keys and certificates of a test cluster, made by the openssl program in a tenth of a second."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["make_keys"]

_CURVE = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def make_keys(folder: Path, addresses: Iterable[str]) -> None:
    """Make ca.crt, server.crt and server.key (for these addresses and names), sa.key and sa.pub, unless they are there."""
    if (folder / "sa.pub").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _key(folder / "ca.key")
    authority = ["-subj", "/CN=test cluster", "-days", "3650", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-out", folder / "ca.crt", *authority)
    _key(folder / "server.key")
    _openssl("req", "-new", "-key", folder / "server.key", "-out", folder / "server.csr", "-subj", "/CN=kube-apiserver")
    (folder / "server.cnf").write_text(_extensions(addresses), encoding="utf-8")
    signer: list[str | Path] = [
        "-CA",
        folder / "ca.crt",
        "-CAkey",
        folder / "ca.key",
        "-CAcreateserial",
        "-days",
        "3650",
        "-extfile",
        folder / "server.cnf",
    ]
    _openssl("x509", "-req", "-in", folder / "server.csr", "-out", folder / "server.crt", *signer)
    _key(folder / "sa.key")
    _openssl("pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")


def _extensions(addresses: Iterable[str]) -> str:
    names = ",".join(f"{_kind(address)}:{address}" for address in addresses)
    return (
        f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )


def _kind(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "DNS"
    return "IP"


def _key(file: Path) -> None:
    _openssl("genpkey", *_CURVE, "-out", file)
    file.chmod(0o600)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
