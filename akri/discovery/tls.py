"""Mutual TLS for handlers on the network, from files that may be replaced at any time (cert-manager and others do)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final, TypeAlias

import grpc
from attrs import frozen

from akri.core.errors import DiscoveryError

__all__ = ["TlsFiles", "channel_credentials", "server_credentials"]

_LOG: Final = logging.getLogger(__name__)


@frozen
class TlsFiles:
    """PEM files: our certificate with its chain, our private key, and the authorities whose certificates a peer may show."""

    certificate: Path
    key: Path
    authorities: Path


_Pem: TypeAlias = tuple[bytes, bytes, bytes]


async def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Read the files for one new connection. Raises DiscoveryError that names a file that cannot be read."""
    key, chain, authorities = await asyncio.to_thread(_read, files)
    return grpc.ssl_channel_credentials(authorities, key, chain)


async def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Serve with these files, and with what replaces them from the next connection on; peers must show a certificate.

    Raises DiscoveryError that names a file that cannot be read now. Later such a file leaves the former ones in use.
    """
    current = await asyncio.to_thread(_read, files)

    def fetch() -> grpc.ServerCertificateConfiguration:
        # gRPC calls this from its own threads, at each new connection.
        nonlocal current
        try:
            current = _read(files)
        except DiscoveryError as error:
            _LOG.warning("certificates are kept as they were error=%s", error)
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(_configuration(current), fetch, require_client_authentication=True)


def _configuration(pem: _Pem) -> grpc.ServerCertificateConfiguration:
    key, chain, authorities = pem
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)


def _read(files: TlsFiles) -> _Pem:
    try:
        return files.key.read_bytes(), files.certificate.read_bytes(), files.authorities.read_bytes()
    except OSError as error:
        raise DiscoveryError(f"TLS file {error.filename}: {error.strerror}: expected a readable PEM file") from error
