"""The command line of `akri-handler`: its flags and its help. argparse, for the handler needs no other library of the `cli` extra."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

__all__ = ["parser"]

_EPILOG: Final = """\
Examples:
  akri-handler udev
  akri-handler debug-echo --folder /tmp/akri --not-shared
  akri-handler udev --network 10.1.2.3 --metrics-port 8081
  akri-handler udev --network 10.1.2.3:10443 --tls-certificate h.pem --tls-key h.key --tls-authorities ca.pem

Each setting can be given in the environment as well, by the name in brackets; flags win.
With --metrics-port there are /healthz (200 while it answers), /readyz (200 while an agent knows it) and /metrics.

Exit codes: 0 ended by SIGTERM or SIGINT, 1 it cannot serve, 2 settings that cannot be.
"""


def parser(handlers: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser; `handlers` are the words that say what to serve. Values are texts: `read_settings` judges them."""
    made = argparse.ArgumentParser(
        prog="akri-handler",
        description="Serve one of Akri's discovery handlers to the agent of this node.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("handler", choices=handlers, help="what to serve")
    place = made.add_argument_group("where it serves")
    place.add_argument("--folder", help="folder with the agent's socket, and for its own [DISCOVERY_HANDLERS_DIRECTORY, /var/lib/akri]")
    where = place.add_mutually_exclusive_group()
    where.add_argument("--network", metavar="ADDRESS[:PORT]", help="listen on the network instead of a unix socket [POD_IP; port 10000]")
    where.add_argument("--unix", action="store_true", help="listen on a unix socket even if POD_IP is set")
    tls = made.add_argument_group("mutual TLS, with --network; files that are replaced count from the next connection on")
    tls.add_argument("--tls-certificate", metavar="FILE", help="PEM, with its chain [AKRI_TLS_CERTIFICATE]")
    tls.add_argument("--tls-key", metavar="FILE", help="PEM [AKRI_TLS_KEY]")
    tls.add_argument("--tls-authorities", metavar="FILE", help="PEM: who signs the agents' certificates [AKRI_TLS_AUTHORITIES]")
    more = made.add_argument_group("more")
    shared = more.add_mutually_exclusive_group()
    shared.add_argument(
        "--shared", action="store_const", const="true", help="debug-echo: several nodes reach a device [DEBUG_ECHO_INSTANCES_SHARED, true]"
    )
    shared.add_argument("--not-shared", action="store_const", const="false", dest="shared", help="debug-echo: each node has its own")
    more.add_argument(
        "--availability",
        metavar="FILE",
        help="debug-echo: no devices while it says OFFLINE [DEBUG_ECHO_AVAILABILITY_FILE, /tmp/debug-echo-availability.txt]",
    )
    more.add_argument("--poll-interval", metavar="SECONDS", help="how often to look where nothing tells of changes [AKRI_POLL_INTERVAL]")
    more.add_argument("--metrics-port", metavar="PORT", help="serve health and metrics over HTTP [METRICS_PORT, off]")
    more.add_argument("-v", "--verbose", action="store_true", help="log what happens, not only what goes wrong")
    return made
