"""What the nodes are made of, where it can be seen without a node."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.containers import Container, parse_container
from tests.cluster.images import build_image
from tests.cluster.network import MOST_NODES, Place, free_range, short_id
from tests.cluster.node_config import etc_files, kubelet_config, service_rules

PLACE = Place(123, 2, "akri0123ab")


def test_first_free_address_range_is_taken() -> None:
    assert free_range([], 0) == 100
    assert free_range(["192.0.2.1", "default", "10.0.0.0/8", "10.101.0.0/24", "10.100.3.4"], 0) == 102
    assert free_range(["10.249.0.1"], 149) == 100, "after the last comes the first"


def test_no_address_range_is_taken_twice() -> None:
    with pytest.raises(LookupError, match=r"10\.100\.0\.0/16 to 10\.249\.0\.0/16 are in use"):
        free_range([f"10.{k}.0.0/16" for k in range(100, 250)], 7)


def test_place_of_a_node() -> None:
    assert (PLACE.host, PLACE.address, PLACE.pods, PLACE.cable) == ("10.123.0.1", "10.123.0.12", "10.123.12.0/24", "akri0123ab-2")
    others = PLACE.neighbours()
    assert len(others) == MOST_NODES - 1
    assert PLACE.address not in {other.address for other in others}


@pytest.mark.parametrize("index", [1, MOST_NODES])
def test_names_of_interfaces_are_within_the_kernels_limit(index: int) -> None:
    assert len(Place(100, index, short_id(Path("/any"))).cable) <= 15


def test_clusters_in_different_folders_have_different_names() -> None:
    assert len({short_id(Path(f"/state/{number}")) for number in range(100)}) == 100


def test_image_depends_on_its_contents_alone(tmp_path: Path) -> None:
    files: list[Path] = []
    for number in (1, 2):
        contents = tmp_path / f"contents-{number}"
        for name in sorted(("b", "a"), reverse=number == 2):
            contents.mkdir(exist_ok=True)
            (contents / name).write_text(name, encoding="utf-8")
            (contents / name).chmod(0o755)
        (contents / "link").symlink_to("a")
        files.append(build_image("localhost/x:1", contents, tmp_path / f"{number}.tar", command=("/a",)))
    assert files[0].read_bytes() == files[1].read_bytes()
    with tarfile.open(files[0]) as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        entry = json.load(index)["manifests"][0]
        assert entry["annotations"] == {"io.containerd.image.name": "localhost/x:1"}
        assert f"blobs/sha256/{entry['digest'].removeprefix('sha256:')}" in archive.getnames()


def test_container_is_read_from_its_bundle() -> None:
    notes = {"sandbox-namespace": "default", "sandbox-name": "web", "sandbox-uid": "u1", "container-name": "main"}
    text = json.dumps({"annotations": {f"io.kubernetes.cri.{key}": value for key, value in notes.items()}})
    assert parse_container("c1", text, 7) == Container("c1", "default", "web", "u1", "main", 7)
    with pytest.raises(KeyError):
        parse_container("c1", json.dumps({"annotations": {}}), 7)


def test_configuration_names_what_is_the_nodes_own() -> None:
    assert json.loads(kubelet_config("akri0123ab/node-b"))["cgroupRoot"] == "/akri0123ab/node-b"
    files = etc_files("node-b", "0" * 32, PLACE, 6443, "overlayfs")
    assert json.loads(files["cni/net.d/10-pods.conflist"])["plugins"][0]["ipam"]["ranges"] == [[{"subnet": PLACE.pods}]]
    assert 'snapshotter = "overlayfs"' in files["containerd/config.toml"]
    assert service_rules(PLACE, 6443).count("dnat to 10.123.0.1:6443") == 2
