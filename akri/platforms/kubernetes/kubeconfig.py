"""Login by a kubeconfig file. kubernetes-asyncio reads it, with all its ways to log in; nobody else loads that library.

It costs 40 MiB, so it is imported when it is called: an agent that logs in as a pod never pays for it.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from akri.core.errors import InvalidDocumentError, InvalidValueError, Problem
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.login import ssl_context

__all__ = ["from_kubeconfig"]

_UNSUPPORTED = {"tls_server_name": "tls-server-name", "proxy": "proxy-url"}
_BEARER = "Bearer "


async def from_kubeconfig(path: Path | None = None, context: str | None = None) -> Connection:
    """Return the connection that a context of a kubeconfig file describes: a token, a client certificate, an exec plug-in, OIDC.

    path: None for `$KUBECONFIG`, else `~/.kube/config`. context: its name; None for the file's current one. A token of an exec
    plug-in, of OIDC or of a file is fetched anew when the server refuses it. The file is never written.
    Raises InvalidDocumentError, also where a plug-in fails, and for what Akri does not support (proxies, passwords, tls-server-name).
    """
    login = _Login(path, context)
    await login.renew()
    return Connection(login.server, login.ssl, login.token, login.renew)


class _Login:
    """One context of one file."""

    def __init__(self, path: Path | None, context: str | None) -> None:
        self.server = ""
        self.ssl: ssl.SSLContext | None = None
        self._path = path
        self._context = context
        self._token: str | None = None

    def token(self) -> str | None:
        return self._token

    async def renew(self) -> None:
        """Read the file and log in again. The certificate stays that of the first time."""
        from kubernetes_asyncio.client import Configuration  # noqa: PLC0415 # 40 MiB
        from kubernetes_asyncio.config import load_kube_config  # noqa: PLC0415 # pyright: ignore[reportUnknownVariableType]

        found = Configuration()
        path = None if self._path is None else str(self._path)
        try:
            await load_kube_config(config_file=path, context=self._context, client_configuration=found, persist_config=False)
        except Exception as error:  # what plug-ins and their readers raise is not documented
            raise InvalidDocumentError(self._title, [Problem("", f"cannot log in: {error}")]) from error
        self._token = self._bearer(found)
        if not self.server:
            self.server, self.ssl = self._reached(found)

    @property
    def _title(self) -> str:
        return f"kubeconfig {self._path or '(default)'}"

    def _bearer(self, found: object) -> str | None:
        keys: object = getattr(found, "api_key", None)
        text: object = keys.get("BearerToken") if isinstance(keys, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(text, str):
            return None
        if not text.startswith(_BEARER):
            raise InvalidDocumentError(
                self._title, [Problem("user", "passwords are not supported; use a token, a certificate or a plug-in")]
            )
        return text.removeprefix(_BEARER)

    def _reached(self, found: object) -> tuple[str, ssl.SSLContext | None]:
        problems = [Problem("cluster", f"{shown} is not supported") for name, shown in _UNSUPPORTED.items() if _text(found, name)]
        server = _text(found, "host").rstrip("/")
        if not server.startswith(("https://", "http://")):
            problems.append(Problem("cluster.server", f"'{server}' is not valid: expected an URL, https://HOST:PORT"))
        if problems:
            raise InvalidDocumentError(self._title, problems)
        return server, self._verification(found) if server.startswith("https:") else None

    def _verification(self, found: object) -> ssl.SSLContext:
        authorities, certificate, key = (_text(found, name) for name in ("ssl_ca_cert", "cert_file", "key_file"))
        try:
            context = ssl_context(Path(authorities) if authorities else None)
            if certificate:
                context.load_cert_chain(certificate, key or None)
        except (InvalidValueError, OSError, ssl.SSLError) as error:
            raise InvalidDocumentError(self._title, [Problem("", f"its certificates cannot be read: {error}")]) from error
        if getattr(found, "verify_ssl", True) is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _text(found: object, name: str) -> str:
    value: object = getattr(found, name, None)
    return value if isinstance(value, str) else ""
