"""Which handlers a node knows, and how that changes."""

from __future__ import annotations

import pytest

from akri.agent.handlers import EMBEDDED, Handlers
from akri.core.errors import DiscoveryError, NotPermittedError
from akri.core.ids import HandlerName
from akri.discovery.allowed import Allowed
from akri.discovery.embedded import embedded_handlers
from akri.discovery.wire import Registration
from akri.testing.clock import VirtualClock

UDEV = HandlerName("udev")
ONVIF = HandlerName("onvif")


def _registration(name: HandlerName = ONVIF, endpoint: str = "/run/onvif.sock") -> Registration:
    return Registration(name, endpoint, network=False, shared=True)


class _Node:
    """Handlers, and what they told others."""

    def __init__(self, *registrations: Registration, allowed: Allowed | None = None) -> None:
        self.clock = VirtualClock()
        self.kept: list[tuple[Registration, ...]] = []
        self.told: list[str] = []
        embedded = embedded_handlers(["udev"])
        self.handlers = Handlers(
            embedded, self.clock, registrations, allowed or Allowed(), keep=self.kept.append, on_change=self.told.append
        )

    def addresses(self, name: HandlerName) -> list[str]:
        return [source.address for source in self.handlers.of(name)]


def test_embedded_ones_come_first_then_the_order_of_registration() -> None:
    node = _Node()
    for endpoint in ("/run/b.sock", "/run/a.sock"):
        node.handlers.register(_registration(UDEV, endpoint))
    assert node.addresses(UDEV) == [EMBEDDED, "/run/b.sock", "/run/a.sock"]
    assert node.handlers.names == (UDEV,)
    assert node.told == ["/run/b.sock", "/run/a.sock"]


def test_who_registers_again_keeps_its_place_and_is_told_of_but_not_stored() -> None:
    node = _Node(_registration(), _registration(endpoint="/run/other.sock"))
    before = node.handlers.of(ONVIF)
    node.handlers.register(_registration())
    assert node.handlers.of(ONVIF) == before
    assert (node.told, node.kept) == (["/run/onvif.sock"], [])


def test_e3_remembered_handlers_are_known_at_once() -> None:
    assert _Node(_registration()).addresses(ONVIF) == ["/run/onvif.sock"]


def test_t2_only_allowed_names_register_and_are_remembered() -> None:
    node = _Node(_registration(), allowed=Allowed(names=frozenset({UDEV})))
    assert node.addresses(ONVIF) == []
    for _ in range(2):
        with pytest.raises(NotPermittedError, match=r"discovery handler 'onvif' is not allowed on this node: expected one of udev"):
            node.handlers.register(_registration())
    assert node.addresses(ONVIF) == []
    assert node.told == [""]  # the reports change once, however often it tries
    assert node.handlers.missing(ONVIF).endswith(
        "registered: udev; /run/onvif.sock was refused: discovery handler 'onvif' is not allowed on this node: expected one of udev"
    )


async def test_who_is_silent_for_long_is_forgotten_until_it_registers_again() -> None:
    node = _Node(_registration())
    node.handlers.failed("/run/onvif.sock", "no socket")
    await node.clock.advance(299)
    node.handlers.failed("/run/onvif.sock", "no socket")
    assert node.addresses(ONVIF) == ["/run/onvif.sock"]
    await node.clock.advance(2)
    node.handlers.failed("/run/onvif.sock", "no socket")
    assert (node.addresses(ONVIF), node.kept, node.told) == ([], [()], ["/run/onvif.sock"])
    assert node.handlers.missing(ONVIF) == (
        "no discovery handler onvif is registered on this node; registered: udev; /run/onvif.sock did not answer for 300 s and is asked "
        "again when it registers; last error: no socket"
    )
    node.handlers.register(_registration())
    assert node.addresses(ONVIF) == ["/run/onvif.sock"]
    assert "did not answer" not in node.handlers.missing(ONVIF)


async def test_an_answer_ends_the_silence() -> None:
    node = _Node(_registration())
    for _ in range(10):
        node.handlers.failed("/run/onvif.sock", "no socket")
        await node.clock.advance(200)
        node.handlers.answered("/run/onvif.sock")
        node.handlers.failed("/run/onvif.sock", "no socket")
        await node.clock.advance(200)
        node.handlers.answered("/run/onvif.sock")
    assert node.addresses(ONVIF) == ["/run/onvif.sock"]


async def test_embedded_handlers_are_never_forgotten() -> None:
    node = _Node()
    node.handlers.failed(EMBEDDED, "no socket")
    await node.clock.advance(1000)
    node.handlers.failed(EMBEDDED, "no socket")
    assert node.addresses(UDEV) == [EMBEDDED]


async def test_one_that_speaks_tls_needs_files() -> None:
    node = _Node(Registration(ONVIF, "https://10.1.2.3:10000", network=True, shared=True))
    (source,) = node.handlers.of(ONVIF)
    handler = source.make(node.clock)
    with pytest.raises(DiscoveryError, match="speaks TLS: this agent was given no certificate"):
        await anext(aiter(handler.discover("", {})))


def test_what_is_remembered_is_bounded_whoever_registers() -> None:
    node = _Node()
    for number in range(256):
        node.handlers.register(_registration(endpoint=f"/run/{number}.sock"))
    with pytest.raises(NotPermittedError, match="256 handlers are registered on this node"):
        node.handlers.register(_registration(endpoint="/run/one-more.sock"))
    node.handlers.register(_registration(endpoint="/run/7.sock"))
    assert len(node.addresses(ONVIF)) == 256
