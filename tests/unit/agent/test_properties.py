"""Discovery properties follow their Secrets and ConfigMaps, and what cannot be read any more stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from attrs import evolve

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.errors import DiscoveryError
from akri.core.ids import ObjectKey
from akri.core.inventory_commands import Standing
from akri.core.presence import Answering
from akri.core.properties import DiscoveryProperty, FromConfigMap, FromSecret, Literal
from akri.platforms.local.memory import MemoryStore
from akri.testing.clock import VirtualClock
from akri.testing.faults import FaultyNodePlatform, LostBefore, Orders
from tests.unit.agent.world import HANDLER, NODE, World, agent_world, configuration, device, key

SECRET = FromSecret("password", key("camera"), "password")
MAP = FromConfigMap("url", key("camera"), "url")


def _configuration(*properties: DiscoveryProperty) -> Configuration:
    return evolve(configuration(), discovery=DiscoveryRequest(HANDLER, properties=properties or (SECRET,)))


def _sent(it: World) -> list[Mapping[str, bytes]]:
    return [asked.properties for asked in it.source.asked]


async def test_a_changed_value_is_sent_within_two_seconds_and_no_device_flaps() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"first"})
        await it.store.apply(_configuration())
        await it.clock.run_until(lambda: len(it.store.instances) == 1)
        revision = it.instance().metadata.revision
        it.source.hang()
        await it.store.put_secret(key("camera"), {"password": b"second"})
        await it.clock.advance(2)
        assert _sent(it) == [{"password": b"first"}, {"password": b"second"}]
        assert it.source.streams == 1
        assert it.agent.inventory.decided[key("cam")].serving[it.instance().name].standing is Standing.SERVED
        it.source.show(device("foo0"))
        await it.clock.advance(400)
        assert it.instance().metadata.revision == revision
        assert it.plugins.healthy("cam") == ["cam-0"]


async def test_a_wrong_password_leaves_the_devices_their_grace() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"first"})
        await it.store.apply(_configuration())
        await it.clock.run_until(lambda: len(it.store.instances) == 1)
        it.source.fail(DiscoveryError("401"))
        await it.store.put_secret(key("camera"), {"password": b"wrong"})
        await it.clock.advance(290)
        assert "401" in it.problems()
        assert len(it.store.instances) == 1
        await it.clock.advance(20)
        assert not it.store.instances


async def test_a_device_that_a_new_password_does_not_show_has_its_grace() -> None:
    """The question of the Configuration is the same; a camera that refuses the password is not gone."""
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"first"})
        await it.store.apply(_configuration())
        await it.clock.run_until(lambda: len(it.store.instances) == 1)
        it.source.hang()
        await it.store.put_secret(key("camera"), {"password": b"wrong"})
        await it.clock.advance(2)
        it.source.show()
        await it.clock.advance(200)
        assert len(it.store.instances) == 1
        await it.clock.advance(200)
        assert not it.store.instances


async def test_all_that_is_missing_is_named_and_taken_up_when_it_appears() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.apply(_configuration(SECRET, MAP, Literal("mode", "fast"), FromSecret("token", key("none"), "t", optional=True)))
        await it.clock.advance(1)
        assert "discoveryProperties.password: Secret default/camera does not exist" in it.problems()
        assert "discoveryProperties.url: ConfigMap default/camera does not exist" in it.problems()
        await it.store.put_secret(key("camera"), {"other": b"x"})
        await it.store.put_config_map(key("camera"), {"url": b"rtsp://"})
        await it.clock.advance(1)
        assert it.problems() == "discoveryProperties.password: Secret default/camera has no key 'password'"
        assert _sent(it) == []
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.clock.advance(1)
        assert _sent(it) == [{"password": b"x", "url": b"rtsp://", "mode": b"fast"}]
        assert it.problems() == ""


async def test_a_secret_that_goes_is_named_and_what_it_said_stays() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.store.apply(_configuration())
        await it.clock.run_until(lambda: len(it.store.instances) == 1)
        await it.store.delete_secret(key("camera"))
        await it.clock.advance(1000)
        assert "Secret default/camera does not exist" in it.problems()
        presence = it.agent.discovery.presence[key("cam")].endpoint("embedded")
        assert presence is not None
        assert presence.state == Answering()
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.clock.advance(1)
        assert it.problems() == ""
        assert len(_sent(it)) == 1


async def test_what_must_not_be_read_is_named() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.store.forbid(key("camera"))
        await it.store.apply(_configuration())
        await it.clock.advance(1)
        assert "Secret default/camera must not be read: the operator did not grant it" in it.problems()


async def test_lost_answers_cost_time_only() -> None:
    async with agent_world(device("foo0")) as it:
        it.orders.add("fetch", LostBefore(1.0), LostBefore(1.0), None, LostBefore(1.0))
        await it.store.put_secret(key("camera"), {"password": b"x"})
        await it.store.apply(_configuration())
        await it.clock.advance(5)
        assert _sent(it) == [{"password": b"x"}]
        await it.store.put_secret(key("camera"), {"password": b"y"})
        await it.clock.advance(5)
        assert _sent(it)[-1] == {"password": b"y"}


async def test_nothing_is_followed_for_a_configuration_that_is_gone() -> None:
    async with agent_world(device("foo0")) as it:
        await it.store.put_secret(key("camera"), {"password": b"x"})
        for number in range(20):
            await it.store.apply(_configuration(SECRET, Literal("n", str(number))))
            await it.clock.advance(0.1)
        assert it.source.streams == 1
        await it.store.delete(key("cam"))
        await it.clock.advance(1)
        before = len(_sent(it))
        await it.store.put_secret(key("camera"), {"password": b"y"})
        await it.clock.advance(5)
        assert len(_sent(it)) == before
        assert it.source.streams == 0


class _Careless(FaultyNodePlatform):
    """A platform that fails in a way that no port allows, with what it read in its words."""

    def watch_secret(self, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        del key
        message = "marker-secret"
        raise KeyError(message)


async def test_t3_a_platform_that_fails_in_any_way_is_reported_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    platform = _Careless(store.node(NODE), Orders(), clock)
    async with agent_world(device("foo0"), platform=platform, store=store, clock=clock) as it:
        await it.store.apply(_configuration())
        await it.clock.advance(1)
        assert "Secret default/camera could not be read: KeyError" in it.problems()
        assert "marker-secret" not in caplog.text
