"""The cache of the Kubernetes program: built once for the same inputs, by one builder, or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cluster import build, needs
from tests.guards.tree import ROOT

MAIN = 'package main\n\nimport "os"\n\nfunc main() { os.Exit(7) }\n'
DRIVER = """
import sys
from pathlib import Path
from tests.cluster import build
build.SOURCE = Path(sys.argv[1])
print(build.program(lambda line: print(line, flush=True)), flush=True)
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Go module in the place of the large one, and a cache of its own; what builds it is what always does."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/small\n\ngo 1.21\n", encoding="utf-8")
    (folder / "go.sum").write_text("", encoding="utf-8")
    (folder / "main.go").write_text(MAIN, encoding="utf-8")
    if "GOCACHE" not in os.environ:  # would follow XDG_CACHE_HOME: Go's own packages would be compiled anew
        monkeypatch.setenv("GOCACHE", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "go-build"))
    monkeypatch.setattr(build, "SOURCE", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def needs_go() -> None:
    if shutil.which("go") is None:
        pytest.skip("there is no Go here: it was not needed to build the program, or came from a wheel")


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go"])
def test_place_follows_from_each_input(source: Path, name: str) -> None:
    before = build.program_path()
    assert before == build.program_path()
    with (source / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert build.program_path() != before


def test_place_follows_from_the_version_of_go(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert source.exists()
    places: set[Path] = set()
    for version in ("go1.26.0", "go1.27.1", "go1.20"):  # the last is too old: the wheel's is meant
        fake = tmp_path / version
        fake.mkdir()
        (fake / "go").write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        (fake / "go").chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake}:/bin")
        places.add(build.program_path())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.program_path() in places
    assert len(places) == 3


def test_present_program_is_not_built(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert source.exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    file = build.program_path()
    file.parent.mkdir(parents=True)
    file.touch()
    assert build.program(lambda line: pytest.fail(f"said {line}")) == file


async def test_two_builders_build_once(source: Path) -> None:
    needs_go()

    async def builder() -> list[str]:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", DRIVER, str(source), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return output.decode().splitlines()

    first, second = await asyncio.gather(builder(), builder())
    said = first + second
    assert len([line for line in said if line.startswith("building the Kubernetes program")]) == 1
    assert len([line for line in said if line.startswith("built in")]) == 1
    file = build.program_path()
    assert first[-1] == second[-1] == str(file)
    assert await (await asyncio.create_subprocess_exec(file)).wait() == 7
    assert sorted(path.name for path in file.parent.iterdir()) == ["kubernetes", "lock"]


def test_failed_build_leaves_no_program_and_tells_why(source: Path) -> None:
    needs_go()
    (source / "main.go").write_text("package main\n\nfunc main() { missing() }\n", encoding="utf-8")
    with pytest.raises(build.BuildError, match="undefined: missing"):
        build.program(lambda _line: None)
    assert [path.name for path in build.program_path().parent.iterdir()] == ["lock"]


def test_machine_without_programs_is_told_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs etcd and openssl" in needs.lacks_for_api_server(tmp_path)
    for name in ("etcd", "openssl"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    assert "has not been built" in needs.lacks_for_api_server(tmp_path / "no-such-program")
    assert needs.lacks_for_api_server(tmp_path) == ""
    assert "containerd" in needs.lacks_for_cluster(tmp_path) or "root" in needs.lacks_for_cluster(tmp_path)
