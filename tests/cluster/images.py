"""Container images made by hand: an OCI layout in one tar file, which containerd imports; no registry is ever asked.

Name images `localhost/NAME:TAG` (a name without a domain would mean docker.io) and give pods `imagePullPolicy: Never`.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["BUSYBOX", "PAUSE", "build_image", "node_images"]

BUSYBOX = "localhost/busybox:test"
"""The image for the pods of tests: a shell and the common small programs."""

PAUSE = "localhost/pause:test"
"""The image that holds a pod together."""

_PAUSE = ("/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait; done")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def build_image(
    name: str, folder: Path, file: Path, *, command: Sequence[str], environment: Mapping[str, str] | None = None, user: str = ""
) -> Path:
    """Write the image `name`, holding the files of `folder` and starting `command`, to `file`; returns `file`.

    Equal input gives an equal file: times are 0, all files belong to root, modes and links are those of the folder.
    """
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})}
    layer = _layer(folder)
    configuration = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": list(command), "Env": [f"{key}={value}" for key, value in sorted(variables.items())], "User": user},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", configuration),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    entry = {**_descriptor(_MANIFEST, manifest), "annotations": {"io.containerd.image.name": name}}
    blobs = {f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}": blob for blob in (layer, configuration, manifest)}
    index = _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})
    with tarfile.open(file, "w") as archive:
        for path, content in {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs}.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return file


def node_images(folder: Path) -> list[Path]:
    """The files of the two images that every node has, made in `folder`. Raises FileNotFoundError where there is no static busybox."""
    program = shutil.which("busybox")
    if program is None:
        raise FileNotFoundError("there is no busybox here: install busybox-static")
    contents = folder / "busybox"
    (contents / "bin").mkdir(parents=True, exist_ok=True)
    (contents / "tmp").mkdir(exist_ok=True)
    shutil.copy(program, contents / "bin" / "busybox")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True, timeout=10).stdout.split()
    for applet in applets:
        link = contents / "bin" / applet
        if not (link.is_symlink() or link.exists()):
            link.symlink_to("busybox")
    return [
        build_image(BUSYBOX, contents, folder / "busybox.tar", command=("/bin/sh",)),
        build_image(PAUSE, contents, folder / "pause.tar", command=_PAUSE),
    ]


def _layer(folder: Path) -> bytes:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        return member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, str(path.relative_to(folder)), recursive=False, filter=plain)
    return buffer.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
