"""What people call things."""

from __future__ import annotations

import pytest

from akri.cli.kinds import Chosen, Kind, chosen, configuration_names, kind_of
from akri.core.errors import InvalidValueError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("akric", Kind.CONFIGURATIONS),
        ("Instances", Kind.INSTANCES),
        ("instances.akri.sh", Kind.INSTANCES),
        ("discoveryreport", Kind.REPORTS),
        ("pods", Kind.BROKERS),
        ("no", Kind.NODES),
        ("thing", None),
    ],
)
def test_every_name_of_a_kind_is_known(name: str, kind: Kind | None) -> None:
    assert kind_of(name) is kind


def test_words_are_kinds_and_names() -> None:
    assert chosen(("akrii",)) == (Chosen((Kind.INSTANCES,)),)
    assert chosen(("akrii,akric,instance", "a", "b")) == (Chosen((Kind.INSTANCES, Kind.CONFIGURATIONS), ("a", "b")),)
    assert chosen(("akrii/a", "node/b")) == (Chosen((Kind.INSTANCES,), ("a",)), Chosen((Kind.NODES,), ("b",)))
    assert chosen(("all",)) == (Chosen(tuple(Kind)),)


@pytest.mark.parametrize("words", [(), ("thing",), ("akrii,",), ("akrii/",), ("/a",), ("akrii/a", "b")])
def test_what_is_no_kind_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValueError, match="expected"):
        chosen(words)


def test_configurations_need_no_kind() -> None:
    assert configuration_names(("a",)) == configuration_names(("akric", "a")) == configuration_names(("akric/a",)) == ("a",)
    assert configuration_names(("nodes",)) == ("nodes",)
    assert configuration_names(()) == ()
    for words in (("nodes", "a"), ("pod/a",), ("akric/",)):
        with pytest.raises(InvalidValueError, match="configurations"):
            configuration_names(words)
