"""Login in a pod, by hand: two variables, a token file and a CA file, all put there by the kubelet."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from akri.core.errors import InvalidValueError
from akri.platforms.kubernetes.connection import Connection
from akri.ports import Clock

__all__ = ["SERVICE_ACCOUNT", "TokenFile", "in_pod", "ssl_context"]

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts the token and the certificate of the cluster's authority."""
_READ_AGAIN: Final = 60.0
_HOST: Final = "KUBERNETES_SERVICE_HOST"
_PORT: Final = "KUBERNETES_SERVICE_PORT"
_logger = logging.getLogger(__name__)


class TokenFile:
    """The bearer token in a file that somebody else replaces from time to time, as the kubelet does; read again every minute."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read it for the first time. Raises InvalidValueError if there is no token in it."""
        self._path = path
        self._clock = clock
        self._token = _token_in(path)
        self._read_at = clock.now()

    def __call__(self) -> str:
        """Return the present token; the former one while the file cannot be read."""
        if self._clock.now() - self._read_at >= _READ_AGAIN:
            self._read()
        return self._token

    async def renew(self) -> None:
        """Read it again now."""
        self._read()

    def _read(self) -> None:
        self._read_at = self._clock.now()
        try:
            self._token = _token_in(self._path)
        except InvalidValueError as error:
            _logger.warning("the former token is kept error=%s", error)


def in_pod(environment: Mapping[str, str], clock: Clock, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """Return the connection that a pod has by its service account.

    environment: that of the process. folder: where `token` and `ca.crt` are. Raises InvalidValueError, which names what is missing.
    """
    host, port = environment.get(_HOST, ""), environment.get(_PORT, "")
    if not host:
        raise InvalidValueError(_HOST, host, "the address of the API server, as every pod has it")
    if not port.isdecimal():
        raise InvalidValueError(_PORT, port, "the port of the API server, as every pod has it")
    token = TokenFile(folder / "token", clock)
    name = f"[{host}]" if ":" in host else host
    return Connection(f"https://{name}:{port}", ssl_context(folder / "ca.crt"), token, token.renew)


def ssl_context(authorities: Path | None = None) -> ssl.SSLContext:
    """Return what verifies a server by the authorities in a file, or by those of the machine. Raises InvalidValueError."""
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise InvalidValueError("certificate authorities", str(authorities), f"a readable file with certificates ({error})") from error
    # Python 3.13 began to ask of authorities what RFC 5280 says; those of many clusters lack the authority key identifier.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _token_in(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidValueError("service account token", str(path), f"a readable file ({error})") from error
    if not token or any(character.isspace() or not character.isprintable() for character in token):
        raise InvalidValueError("service account token", str(path), "a file with one token in it")
    return token
