"""Who has to find out why something did not come to rest is told what is known of it."""

from __future__ import annotations

from pathlib import Path

from tests.integration.chaos.closer import closer_look, concerned
from tests.integration.chaos.test_rest import with_users_alone

PROBLEMS = (
    "pod default/local-aaaaaa-pod on a is Pending",
    "Instance local-aaaaaa: node a holds 0 slots through its Instance, and 1 are in use",
    "Instance local-aaaaaa is on nodes ['a'], not on ['b']",
    "node c is not ready",
)


def test_the_names_in_sentences_are_found_once() -> None:
    assert concerned(PROBLEMS) == ("local-aaaaaa-pod", "local-aaaaaa")


def test_slots_state_record_explanation_and_what_programs_said_are_shown(tmp_path: Path) -> None:
    (tmp_path / "node-a.out").write_text("started\nnot done instance=default/local-aaaaaa cause=slow\n")
    container = tmp_path / "s" / "brokers" / "local-aaaaaa-pod" / "broker"
    container.mkdir(parents=True)
    (container / "lock").touch()
    found = list(closer_look(with_users_alone(), concerned(PROBLEMS), tmp_path, lambda name: f"{name} is explained\n  so"))
    assert found == [
        "-- local-aaaaaa-pod",
        "pod default/local-aaaaaa-pod (local-aaaaaa-pod) on a: Pending not bound",
        "its record in brokers/ is not there, or cannot be read",
        "container broker: NeverStarted(); ['lock']",
        "local-aaaaaa-pod is explained",
        "  so",
        "-- local-aaaaaa",
        "Instance of device stick-a-0 on ['a'], slots {'local-aaaaaa-0': 'C:local-1:a', 'local-aaaaaa-1': 'C:local-0:a'}",
        "pod default/local-aaaaaa-pod (local-aaaaaa-pod) on a: Pending not bound",
        "its record in brokers/ is not there, or cannot be read",
        "container broker: NeverStarted(); ['lock']",
        "local-aaaaaa is explained",
        "  so",
        "node-a: not done instance=default/local-aaaaaa cause=slow",
    ]


def test_a_pod_without_a_folder_has_none(tmp_path: Path) -> None:
    assert "no folder in brokers/" in list(closer_look(with_users_alone(), ["local-aaaaaa-pod"], tmp_path, str))
