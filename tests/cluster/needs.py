"""What a machine lacks for the test cluster, as sentences: empty where it can run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster import cgroups

__all__ = ["lacks_for_api_server", "lacks_for_cluster"]

_PLUGINS = Path("/usr/lib/cni")
_PROGRAMS = ("containerd", "ctr", "runc", "ip", "nft", "busybox", "unshare", "nsenter")
_NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "true")


def lacks_for_api_server(program: Path) -> str:
    """Why no API server can be started here; `program` is the Kubernetes program."""
    if sys.platform != "linux":
        return "the API server of the tests runs on Linux only"
    missing = [name for name in ("etcd", "openssl") if shutil.which(name) is None]
    if missing:
        return f"the API server of the tests needs {' and '.join(missing)} (./dev test installs them where it may)"
    if not program.exists():
        return "the Kubernetes program has not been built (./dev test does, and ./dev cluster)"
    return ""


def lacks_for_cluster(program: Path) -> str:
    """Why no cluster with nodes can be started here."""
    reason = lacks_for_api_server(program)
    if reason:
        return reason
    if os.geteuid() != 0:
        return "the nodes of the test cluster need root: namespaces, mounts and cgroups"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not (_PLUGINS / "ptp").exists():
        missing.append(f"the CNI plug-ins in {_PLUGINS}")
    if missing:
        return f"the nodes of the test cluster need {', '.join(missing)} (./dev test installs them)"
    if subprocess.run(_NAMESPACES, check=False, capture_output=True, timeout=10).returncode:
        return "the nodes of the test cluster need to make namespaces, which this root may not (a container without privileges?)"
    read_only = [str(folder) for folder in cgroups.hierarchies() if not os.access(folder, os.W_OK)]
    return f"the nodes of the test cluster need to make cgroups, and cannot in {read_only[0]}" if read_only else ""
