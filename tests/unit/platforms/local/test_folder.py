"""Where the state is, and what becomes of a folder of another release."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from akri.core.errors import AkriError, InvalidValueError
from akri.core.ids import NodeName
from akri.platforms.local.folder import NodeFolder, StateFolder

NODE = NodeName("gateway")


@pytest.fixture
def short() -> Generator[Path]:
    """A folder whose path leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="akri-") as folder:
        yield Path(folder)


def test_a_folder_is_made_for_its_user_alone_and_may_be_there_already(short: Path) -> None:
    folder = StateFolder.at(short / "state")
    part = folder.node(NODE)
    for _ in range(2):
        assert folder.prepare(NODE) == part
        assert part.plugins.is_dir()
        assert part.handlers.is_dir()
    assert {path.stat().st_mode & 0o777 for path in (folder.path, part.path, part.plugins, part.handlers, part.agent)} == {0o700}
    assert folder.version() == 1
    assert [name for name, _ in folder.nodes()] == [NODE]


def test_a_folder_of_a_later_release_is_left_alone(short: Path) -> None:
    (short / "version").write_text("7\n")
    with pytest.raises(AkriError, match="has form 7, and this program knows forms up to 1: a later release made it"):
        StateFolder.at(short).prepare(NODE)
    assert [path.name for path in short.iterdir()] == ["version"]


def test_what_release_0_1_remembered_is_taken_over(short: Path) -> None:
    for name in ("agent/handlers.json", "plugins/akri-1-2.sock", "plugins/kubelet.sock", "handlers/mine.sock", "logs/old.log"):
        (short / name).parent.mkdir(exist_ok=True)
        (short / name).write_text(name)
    part = StateFolder.at(short).prepare(NODE)
    assert (part.agent / "handlers.json").read_text() == "agent/handlers.json"
    assert sorted(path.name for path in short.iterdir()) == ["logs", "nodes", "version"]
    assert (short / "logs/old.log").exists()


def test_what_cannot_be_used_is_named_in_a_sentence(short: Path) -> None:
    (short / "file").write_text("")
    with pytest.raises(AkriError, match=r"state folder .*/file/state cannot be used: Not a directory: .*; see --state"):
        StateFolder.at(short / "file/state").prepare(NODE)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\nb"])
def test_a_node_is_a_file_name(short: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="node name"):
        StateFolder.at(short).node(NodeName(name))


def test_a_path_that_is_too_long_for_sockets_is_refused_with_the_limit() -> None:
    NodeFolder(Path("/" + "x" * 70)).check()
    with pytest.raises(InvalidValueError, match="a path that is 3 bytes shorter: sockets lie in it, and a socket's path holds 107 bytes"):
        NodeFolder(Path("/" + "x" * 73)).check()


def test_there_are_no_nodes_before_one_ran(short: Path) -> None:
    assert list(StateFolder.at(short).nodes()) == []
    assert StateFolder.at(short).version() is None
