"""`akri top`: what a picture shows, and how it follows what goes on."""

from __future__ import annotations

import asyncio
import io

import pytest
from attrs import evolve
from click.testing import CliRunner
from rich.console import Console
from rich.live import Live

from akri.cli.dashboard import frame, narrowed
from akri.cli.following import Follower
from akri.cli.group import cli
from akri.cli.overview import Overview, look
from akri.cli.topping import Viewer
from akri.core.codec import read_configuration
from akri.core.ids import NodeName
from akri.core.reports import DiscoveryReport
from tests.unit.cli.scene import ECHO, Scene, configuration_document, key


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_one_picture_in_a_pipe(scene: Scene) -> None:
    done = CliRunner().invoke(cli, ["top"], obj=scene.opener)
    sections = done.stdout.split("\n\n")

    assert done.exit_code == 0
    assert sections[0] == "2 Configurations (unwell: cameras), 2 devices, 2/4 slots held, 2/3 brokers well, 2 nodes (not ready: node-b)"
    assert [section.splitlines()[0] for section in sections[1:]] == ["Handlers:", "Devices:", "Brokers:", "Events:"]
    assert sections[2].splitlines()[2].split()[:5] == ["echo-8120fe", "foo0", "node-a,node-b", "2/2", "node-a,node-b"]


def test_one_namespace_alone(scene: Scene) -> None:
    done = CliRunner().invoke(cli, ["top", "-n", "site"], obj=scene.opener)

    assert done.stdout.startswith("1 Configuration (unwell: cameras), 0 devices, 0/0 slots held, 1/1 brokers well, 2 nodes")
    assert "Devices: none" in done.stdout


async def test_few_slots_are_a_gauge_and_many_a_number() -> None:
    scene = await asyncio.to_thread(Scene)
    overview = await look(scene.user)
    many = evolve(overview.instances[0], capacity=9)

    slots = [row[3].text for row in frame(evolve(overview, instances=(*overview.instances, many)), 0, gauge=True).devices.rows]
    assert slots == ["■■", "2/9", "□□"]


async def test_a_node_without_a_handler_is_in_the_picture() -> None:
    report = DiscoveryReport(key("echo"), "u", NodeName("n"), 1, 1.0)

    assert [one.text for one in frame(Overview(reports=(report,)), 2, gauge=True).handlers.rows[0]][-1] == "no handler"
    assert narrowed(Overview(reports=(report,)), "other") == Overview()


async def test_an_overview_follows_what_happens() -> None:
    scene = await asyncio.to_thread(Scene)
    seen: asyncio.Queue[Overview] = asyncio.Queue()
    following = asyncio.ensure_future(Follower(scene.user).run(seen.put_nowait))

    async def shown(names: set[str]) -> Overview:
        async with asyncio.timeout(30):
            while True:
                last = await seen.get()
                if {one.key.name for one in last.configurations} == names:
                    return last

    assert evolve(await shown({"echo", "cameras"}), events=()) == evolve(await look(scene.user), events=())
    await scene.user.apply(read_configuration(configuration_document("new")))
    await shown({"echo", "cameras", "new"})
    await scene.user.delete(key("echo"))
    assert (await shown({"cameras", "new"})).configurations != ()
    following.cancel()
    await asyncio.wait({following})


async def test_keys_move_and_end() -> None:
    scene = await asyncio.to_thread(Scene)
    console = Console(width=100, height=18, force_terminal=True, file=(out := _Written()))
    ended: list[bool] = []
    with Live(console=console, auto_refresh=False, screen=True) as live:
        viewer = Viewer(live, "", lambda: ended.append(True))
        viewer.show(await look(scene.user))
        assert f"{ECHO[0]}" in out.last
        viewer.pressed(b"\x1b[B")
        assert "2 to 2 of 2" in out.last
        viewer.pressed(b"\x1b[5~")
        assert "1 to 1 of 2" in out.last
        viewer.pressed(b"x")
        assert ended == []
        viewer.pressed(b"q")
    assert ended == [True]


class _Written(io.StringIO):
    """Remembers what was written last."""

    @property
    def last(self) -> str:
        return self.getvalue().rpartition("\x1b[H")[2]
