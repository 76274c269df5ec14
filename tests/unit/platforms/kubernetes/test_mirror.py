"""What a reader hears of what happened, however late it looks."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.mirror import Mirror
from akri.platforms.kubernetes.watch_events import Bookmark, Changed, Identity, Removed, WireEvent, identity_of
from akri.ports import Alive, Gone, Put, Reset, WatchEvent

BAD = "unreadable"


@frozen
class Value:
    key: ObjectKey
    uid: str
    revision: int = field(eq=False)
    text: str


def document(name: str, uid: str, revision: int, text: str = "") -> JsonObject:
    return {"metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": str(revision)}, "text": text}


def decode(found: JsonObject) -> Value | None:
    identity = identity_of(found)
    text = str(found["text"])
    return None if text == BAD else Value(identity.key, identity.uid, identity.revision, text)


def changed(name: str, uid: str, revision: int, text: str = "") -> Changed:
    found = document(name, uid, revision, text)
    return Changed(identity_of(found), found)


def removed(name: str, uid: str, revision: int) -> Removed:
    return Removed(Identity(ObjectKey("n", name), uid, revision))


def value(name: str, uid: str, revision: int, text: str = "") -> Value:
    return Value(ObjectKey("n", name), uid, revision, text)


def told(mirror: Mirror[Value]) -> list[WatchEvent[Value]]:
    return list(iter(mirror.next, None))


def mirror_of(*documents: JsonObject, revision: int = 10, until: float = 1.0) -> Mirror[Value]:
    """A mirror after a list, of which the reader has heard nothing yet."""
    mirror = Mirror(decode)
    mirror.reset([mirror.read(found) for found in documents], revision, until)
    return mirror


def test_the_first_event_is_the_whole_set() -> None:
    [reset] = told(mirror_of(document("a", "u1", 3, "x"), until=5.0))

    assert reset == Reset((value("a", "u1", 3, "x"),))
    assert isinstance(reset, Reset)
    assert reset.until == 5.0


def test_what_happens_before_the_reset_is_read_is_in_it() -> None:
    mirror = mirror_of(document("a", "u1", 3), document("b", "u2", 4))
    mirror.take(changed("a", "u1", 11, "new"))
    mirror.take(removed("b", "u2", 12))

    assert told(mirror) == [Reset((value("a", "u1", 11, "new"),))]


def test_an_object_is_put_and_gone() -> None:
    mirror = mirror_of()
    told(mirror)
    mirror.take(changed("a", "u1", 11, "x"))
    assert told(mirror) == [Put(value("a", "u1", 11, "x"))]
    mirror.take(removed("a", "u1", 12))
    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 12)]


def test_a_slow_reader_hears_the_last_state_before_the_end() -> None:
    mirror = mirror_of(document("a", "u1", 3, "runs"))
    told(mirror)
    mirror.take(changed("a", "u1", 11, "ends"))
    mirror.take(changed("a", "u1", 12, "ended"))
    mirror.take(removed("a", "u1", 13))

    assert told(mirror) == [Put(value("a", "u1", 12, "ended")), Gone(ObjectKey("n", "a"), "u1", 13)]


def test_a_slow_reader_hears_that_an_object_was_made_again() -> None:
    mirror = mirror_of(document("a", "u1", 3))
    told(mirror)
    mirror.take(removed("a", "u1", 11))
    mirror.take(changed("a", "u2", 12))
    mirror.take(removed("a", "u2", 13))
    mirror.take(changed("a", "u3", 14))

    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 11), Put(value("a", "u3", 14))]


def test_another_object_under_the_name_means_that_the_former_is_gone() -> None:
    mirror = mirror_of(document("a", "u1", 3))
    told(mirror)
    mirror.take(changed("a", "u2", 12))

    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 12), Put(value("a", "u2", 12))]


def test_what_came_and_went_unseen_is_left_out() -> None:
    mirror = mirror_of()
    told(mirror)
    for number in range(100):
        mirror.take(changed(f"a{number}", f"u{number}", 20 + 2 * number))
        mirror.take(removed(f"a{number}", f"u{number}", 21 + 2 * number))

    assert told(mirror) == []


def test_a_state_that_means_the_same_to_the_reader_is_left_out() -> None:
    mirror = mirror_of(document("a", "u1", 3, "x"))
    told(mirror)
    mirror.take(changed("a", "u1", 11, "x"))
    assert told(mirror) == []
    mirror.take(removed("a", "u1", 12))
    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 12)]


def test_what_cannot_be_read_is_not_there() -> None:
    mirror = mirror_of(document("a", "u1", 3, BAD), document("b", "u2", 4, "x"))
    assert told(mirror) == [Reset((value("b", "u2", 4, "x"),))]
    mirror.take(changed("b", "u2", 11, BAD))
    assert told(mirror) == [Gone(ObjectKey("n", "b"), "u2", 11)]
    mirror.take(changed("a", "u1", 12, "y"))
    mirror.take(removed("b", "u2", 13))
    assert told(mirror) == [Put(value("a", "u1", 12, "y"))]


def test_an_object_unreadable_at_its_end_is_gone() -> None:
    mirror = mirror_of(document("a", "u1", 3, "x"))
    told(mirror)
    mirror.take(changed("a", "u1", 11, BAD))
    mirror.take(removed("a", "u1", 12))

    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 12)]


def test_a_second_stream_of_the_same_events_changes_nothing() -> None:
    mirror = mirror_of()
    told(mirror)
    events: list[WireEvent] = [changed("a", "u1", 11, "x"), removed("a", "u1", 12), changed("b", "u2", 13, "y")]
    for event in events:
        mirror.take(event)
    assert told(mirror) == [Put(value("b", "u2", 13, "y"))]
    for event in events:
        mirror.take(event)
        assert told(mirror) == []


def test_a_list_decodes_no_state_twice() -> None:
    decoded: list[int] = []

    def counting(found: JsonObject) -> Value | None:
        decoded.append(identity_of(found).revision)
        return decode(found)

    mirror = Mirror(counting)
    mirror.reset([mirror.read(document("a", "u1", 3)), mirror.read(document("b", "u2", 4, BAD))], 10, 0.0)
    mirror.reset([mirror.read(document("a", "u1", 3)), mirror.read(document("b", "u2", 5, BAD))], 10, 0.0)

    assert decoded == [3, 4, 5]


def test_alive_is_told_when_the_revision_of_the_read_is_reached() -> None:
    mirror = mirror_of(revision=10)
    told(mirror)
    mirror.expect(12, until=7.0)
    assert (told(mirror), mirror.waits) == ([], True)
    mirror.take(Bookmark(11))
    assert told(mirror) == []
    mirror.take(Bookmark(12))
    [alive] = told(mirror)
    assert isinstance(alive, Alive)
    assert (alive.until, mirror.waits) == (7.0, False)
    assert told(mirror) == []


def test_alive_is_told_at_once_when_nothing_happened_since() -> None:
    mirror = mirror_of(revision=10)
    told(mirror)
    mirror.expect(10, until=7.0)
    assert told(mirror) == [Alive()]


def test_a_bookmark_alone_proves_nothing() -> None:
    mirror = mirror_of(revision=10)
    told(mirror)
    mirror.take(Bookmark(20))
    assert told(mirror) == []


def test_alive_comes_after_all_that_it_speaks_of() -> None:
    mirror = mirror_of(revision=10)
    told(mirror)
    mirror.expect(12, until=7.0)
    mirror.expect(13, until=8.0)
    mirror.take(changed("a", "u1", 13, "x"))

    [put, alive] = told(mirror)
    assert put == Put(value("a", "u1", 13, "x"))
    assert isinstance(alive, Alive)
    assert alive.until == 8.0


def test_after_a_loss_nothing_counts_but_a_list() -> None:
    mirror = mirror_of(document("a", "u1", 3))
    told(mirror)
    mirror.expect(12, until=7.0)
    mirror.lose()
    mirror.take(changed("b", "u2", 50))
    assert (told(mirror), mirror.revision, mirror.waits) == ([], 0, False)
    mirror.reset([], 5, 9.0)
    assert told(mirror) == [Reset(())]


def test_a_list_that_shows_nothing_new_is_proof() -> None:
    mirror = mirror_of(document("a", "u1", 3, "x"), revision=10)
    told(mirror)
    assert mirror.compare([Identity(ObjectKey("n", "a"), "u1", 3)], 20, until=4.0)
    [alive] = told(mirror)
    assert isinstance(alive, Alive)
    assert (alive.until, mirror.revision) == (4.0, 20)


def test_a_list_that_shows_something_else_is_none() -> None:
    mirror = mirror_of(document("a", "u1", 3, "x"), revision=10)
    told(mirror)
    for seen in ([], [Identity(ObjectKey("n", "a"), "u1", 12)], [Identity(ObjectKey("n", "a"), "u2", 3)]):
        assert not mirror.compare(seen, 20, until=4.0)
    assert (told(mirror), mirror.revision) == ([], 10)


def test_a_list_from_before_what_was_taken_in_is_proof() -> None:
    mirror = mirror_of(document("a", "u1", 3, "x"), revision=10)
    told(mirror)
    mirror.take(removed("a", "u1", 21))
    assert mirror.compare([Identity(ObjectKey("n", "a"), "u1", 3)], 20, until=4.0)
    assert told(mirror) == [Gone(ObjectKey("n", "a"), "u1", 21), Alive()]


NAMES = st.sampled_from("abc")
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.sampled_from(["x", "y", BAD])),
        st.tuples(st.just("delete"), NAMES, st.just("")),
        st.tuples(st.just("read"), st.just(""), st.just("")),
    )
)


@given(ACTIONS, st.integers(0, 5))
def test_every_reader_ends_up_with_what_is_there_and_hears_each_last_state(actions: list[tuple[str, str, str]], listed: int) -> None:
    server = Server()
    for action in actions[:listed]:
        server.act(action)
    mirror = mirror_of(*server.objects.values(), revision=server.revision)
    reader = Reader()
    for action in actions[listed:]:
        if action[0] == "read":
            event = mirror.next()
            if event is not None:
                reader.take(event, server)
        for happened in server.act(action):
            mirror.take(happened)
    for last in told(mirror):
        reader.take(last, server)

    assert reader.state == {key: found for key, found in ((k, decode(d)) for k, d in server.objects.items()) if found is not None}


class Server:
    """What an API server does to objects and sends about it."""

    def __init__(self) -> None:
        self.revision = 10
        self.objects: dict[ObjectKey, JsonObject] = {}
        self.last: dict[str, Value | None] = {}

    def act(self, action: tuple[str, str, str]) -> Iterator[WireEvent]:
        kind, name, text = action
        key = ObjectKey("n", name or "none")
        events: list[WireEvent] = []
        if kind == "put":
            self.revision += 1
            former = self.objects.get(key)
            uid = f"u{self.revision}" if former is None else identity_of(former).uid
            self.objects[key] = document(name, uid, self.revision, text)
            self.last[uid] = decode(self.objects[key])
            events.append(Changed(identity_of(self.objects[key]), self.objects[key]))
        elif kind == "delete" and key in self.objects:
            self.revision += 1
            events.append(Removed(evolve(identity_of(self.objects.pop(key)), revision=self.revision)))
        return iter(events)


class Reader:
    """Somebody who looks now and then, and holds each event to the port's promises."""

    def __init__(self) -> None:
        self.state: dict[ObjectKey, Value] = {}
        self.revisions: dict[ObjectKey, int] = {}

    def take(self, event: WatchEvent[Value], server: Server) -> None:
        match event:
            case Reset(objects):
                self.state = {found.key: found for found in objects}
            case Put(found):
                known = self.state.get(found.key)
                assert known is None or known.uid == found.uid
                assert found.revision > self.revisions.get(found.key, 0)
                self.state[found.key] = found
                self.revisions[found.key] = found.revision
            case Gone(key, uid, revision):
                known = self.state.pop(key)
                assert known.uid == uid
                assert revision >= known.revision
                self.revisions[key] = revision
                last = server.last[uid]
                assert last is None or known == last or server.objects.get(key, {}).get("text") == BAD
            case Alive():
                pass
