"""The configuration files of a node, as values: what kubelet, containerd and the pod network are told."""

from __future__ import annotations

import json

from tests.cluster.images import PAUSE
from tests.cluster.network import Place

__all__ = ["containerd_config", "etc_files", "kubelet_config", "service_rules"]

_SERVICE = "10.96.0.1"
_CONTAINERD = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""


def kubelet_config(cgroup: str) -> str:
    """The kubelet's configuration. Whoever reaches the node may use its API: it is reachable from this machine and its cluster only."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroup}",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "enforceNodeAllocatable": [],
            "evictionHard": {},
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "nodeStatusUpdateFrequency": "1s",  # also the time-out of these requests: half a second is too short on a busy machine
            "nodeLeaseDurationSeconds": 8,
            "readOnlyPort": 0,
            "resolvConf": "",
            "staticPodPath": "/etc/kubernetes/manifests",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        },
        indent=1,
    )


def containerd_config(snapshotter: str) -> str:
    """The configuration of containerd 1.6 and 1.7."""
    return _CONTAINERD.format(pause=PAUSE, snapshotter=snapshotter)


def service_rules(place: Place, port: int) -> str:
    """The service `kubernetes` for the node and its pods, as rules of nftables: the one service that tests need, without kube-proxy."""
    rule = f"ip daddr {_SERVICE} tcp dport 443 dnat to {place.host}:{port}"
    return (
        "table ip services {\n"
        f"  chain forwarded {{ type nat hook prerouting priority -100; {rule}; }}\n"
        f"  chain own {{ type nat hook output priority -100; {rule}; }}\n"
        "}\n"
    )


def etc_files(name: str, machine_id: str, place: Place, port: int, snapshotter: str) -> dict[str, str]:
    """The files of a node's /etc, by path below it."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": place.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    pod_network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}, {"type": "loopback"}]}
    return {
        "cni/net.d/10-pods.conflist": json.dumps(pod_network, indent=1),
        "containerd/config.toml": containerd_config(snapshotter),
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hostname": f"{name}\n",
        "hosts": f"127.0.0.1 localhost\n{place.address} {name}\n",
        "machine-id": f"{machine_id}\n",
        "nftables.conf": service_rules(place, port),
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "os-release": 'NAME="Akri test node"\nID=akri-test\nPRETTY_NAME="Akri test node"\n',
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "resolv.conf": "",
    }
