"""docs/explain.md shows for each fault what the program prints for it, word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from akri.cli.diagnosing import printed
from akri.cli.diagnosis.sight import Sight, Where
from akri.cli.overview import Overview
from akri.core.ids import HandlerName, NodeName
from akri.core.properties import FromSecret
from akri.core.reports import KeptDevice, Reason
from akri.ports import ContainerState
from akri.scheduling.model import NodeState, Phase
from tests.unit.cli.explain_samples import CAM, DEVICE, HANDLER, NOW, REPORT, SIGHT, Sample, event, explained, key, with_handler

PAGE: Final = Path(__file__).parents[3] / "docs" / "explain.md"
LOCAL: Final = Where("/var/lib/akri/local")
EMPTY: Final = evolve(HANDLER, devices=0, candidates=0, answered_at=0.0)
KEPT: Final = KeptDevice("foo0", "cam-8120fe", NOW + 251, 3, "missing from the last answer of its handler")
GIVEN_UP: Final = event("Instance", "cam-a19705", Reason.DEVICE_LOST, "node node-a gave the device up: its handler says that it is gone")
SECRET: Final = FromSecret("password_default", key("camera"), "password")


def _with(sight: Sight, **changes: object) -> Sight:
    return evolve(sight, overview=evolve(sight.overview, **changes))  # type: ignore[arg-type]


def _asking(handler: str = "udev", *references: FromSecret) -> Overview:
    request = evolve(CAM.discovery, handler=HandlerName(handler), properties=references)
    return evolve(SIGHT.overview, configurations=(evolve(CAM, discovery=request),))


def _missing() -> Sight:
    error = "no discovery handler onvif is registered on this node; registered: debugEcho, udev"
    handler = evolve(EMPTY, name=HandlerName("onvif"), endpoint="", asked_at=0.0, error=error, reason=Reason.HANDLER_MISSING)
    return _with(with_handler(handler), configurations=_asking("onvif").configurations)


def _secret() -> Sight:
    error = "discoveryProperties.password_default: Secret default/camera does not exist"
    handler = evolve(EMPTY, asked_at=0.0, error=error, reason=Reason.PROPERTY_MISSING)
    return _with(with_handler(handler), configurations=_asking("udev", SECRET).configurations)


def _denied() -> Sight:
    return Sample.broker(
        ContainerState("main", finished=NOW - 4, exit_code=1, restarts=2),
        reason="CrashLoopBackOff",
        logs=("opening the camera", "cat: /dev/video0: Permission denied"),
    )


def _held() -> Sight:
    waiting = evolve(SIGHT.overview.broker_pods[0], key=key("node-b-cam-8120fe-pod"), uid="q", node=NodeName("node-b"), phase=Phase.PENDING)
    ready = (*SIGHT.overview.nodes, NodeState(NodeName("node-b")))
    return Sample.overview(broker_pods=(*SIGHT.overview.broker_pods, waiting), nodes=ready)


def _taken() -> Sight:
    younger = evolve(CAM, metadata=evolve(CAM.metadata, key=key("cam", "site"), uid="v", created=NOW - 100))
    return Sample.overview(configurations=(CAM, younger))


def _lost_node() -> Sight:
    both = evolve(DEVICE, nodes=(NodeName("node-a"), NodeName("node-b")), capacity=2)
    away = NodeState(NodeName("node-b"), ready=False, since=NOW - 70)
    return Sample.overview(instances=(both,), nodes=(*SIGHT.overview.nodes, away))


SCENES: Final[Mapping[str, tuple[Sight, str]]] = {
    "The discovery handler is not registered": (_missing(), "cam"),
    "The handler refuses its details": (
        with_handler(evolve(EMPTY, error="udev discoveryDetails: udevRules[0]: 'KERNAL' is not valid", reason=Reason.DETAILS_REFUSED)),
        "cam",
    ),
    "A filter drops everything": (
        with_handler(
            evolve(HANDLER, devices=0, candidates=12, dropped={'udevRules[0]: KERNEL=="video9"': 11, "udevRules[0]: SUBSYSTEM": 1})
        ),
        "cam",
    ),
    "A permission is lacking": (_denied(), "cam-8120fe-pod"),
    "All slots are held": (_held(), "cam-8120fe"),
    "A broker fails again and again": (
        Sample.broker(
            ContainerState("main", finished=NOW - 15, exit_code=3, reason="Error"),
            phase=Phase.FAILED,
            attempt=2,
            reason="Error",
            started=NOW - 30,
            finished=NOW - 15,
            logs=("no such camera",),
        ),
        "cam-8120fe-pod",
    ),
    "A Secret is missing": (_secret(), "cam"),
    "The name is taken": (_taken(), "site/cam"),
    "A device is lost, and its grace runs": (
        Sample.overview(
            reports=(evolve(REPORT, kept=(KeptDevice("foo0", "cam-8120fe", NOW + 251, 3, "missing from the last answer of its handler"),)),)
        ),
        "cam",
    ),
    "A node is lost": (_lost_node(), "cam"),
    "Nothing runs": (evolve(SIGHT, where=evolve(LOCAL, stopped=True)), "cam"),
    "Nothing is wrong": (SIGHT, "cam"),
    "It is gone": (
        Sample.overview(
            events=(
                event("Instance", "cam-a19705", Reason.DEVICE_LOST, "node node-a gave the device up: its handler says that it is gone"),
            )
        ),
        "cam-a19705",
    ),
}


def printed_for(heading: str) -> str:
    """Print what is said in a scene of the page."""
    sight, name = SCENES[heading]
    return "\n".join(printed(explained(evolve(sight, where=evolve(LOCAL, stopped=sight.where.stopped)), name)))


@pytest.mark.parametrize("heading", SCENES)
def test_the_page_shows_what_is_printed(heading: str) -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [section for section in sections if section.startswith(f"{heading}\n")]
    shown = re.search(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[1] == f"{printed_for(heading)}\n"
