"""Handlers that come with Akri, and the samples in Python and Go, keep every rule, as processes of their own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from akri.discovery.conformance.plan import Plan
from akri.discovery.conformance.rules import Outcome, Verdict
from akri.discovery.conformance.running import conformance
from akri.discovery.conformance.subject import Target
from tests.guards.tree import ROOT
from tests.integration.conformance.go_handler import SOURCE, folder_handler, lacks
from tests.integration.discovery.places import authority, certificate, free_port

OURS = (sys.executable, "-c", "from akri_handler.start import main; main()")
MANY = "descriptions: [" + ", ".join(f"device-{number}-{'x' * 90}" for number in range(5000)) + "]"
BAD = ("{]", "colour: red", "[a, list]")


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        yield Path(name)


def said(outcomes: tuple[Outcome, ...], verdict: Verdict) -> list[str]:
    return [str(outcome) for outcome in outcomes if outcome.verdict is verdict]


def wholly_kept(outcomes: tuple[Outcome, ...]) -> None:
    assert said(outcomes, Verdict.FAILED) == []
    assert said(outcomes, Verdict.NOT_TRIED) == []


@pytest.mark.timeout(400)
async def test_debug_echo_keeps_every_rule(folder: Path) -> None:
    away = folder / "away"
    plan = Plan("descriptions: [a, b]", {}, BAD, MANY, 5000, f"echo OFFLINE > {away}; sleep 1.5; : > {away}", patience=30, quiet=1.5)
    wholly_kept(await conformance(Target((*OURS, "debug-echo", "--availability", str(away), "--poll-interval", "0.5")), plan))


@pytest.mark.timeout(400)
async def test_debug_echo_on_the_network_with_tls_keeps_every_rule(folder: Path) -> None:
    away, ca = folder / "away", authority(folder)
    files, ours = certificate(folder, ca, "handler"), certificate(folder, ca, "agent")
    plan = Plan(
        "descriptions: [a, b]", {}, BAD, MANY, 5000, f"echo OFFLINE > {away}; sleep 1.5; : > {away}", patience=30, quiet=1.5, tls=ours
    )
    network = ("--network", f"127.0.0.1:{free_port()}", "--availability", str(away), "--poll-interval", "0.5")
    tls = ("--tls-certificate", str(files.certificate), "--tls-key", str(files.key), "--tls-authorities", str(files.authorities))
    wholly_kept(await conformance(Target((*OURS, "debug-echo", *network, *tls)), plan))


@pytest.mark.timeout(400)
async def test_what_speaks_tls_cannot_be_asked_without(folder: Path) -> None:
    files = certificate(folder, authority(folder), "handler")
    tls = ("--tls-certificate", str(files.certificate), "--tls-key", str(files.key), "--tls-authorities", str(files.authorities))
    target = Target((*OURS, "debug-echo", "--network", f"127.0.0.1:{free_port()}", *tls))
    outcomes = await conformance(target, Plan("descriptions: [a]", patience=20), rules=["registers", "first-answer"])

    (failed,) = said(outcomes, Verdict.FAILED)
    assert "first-answer" in failed
    assert "expected certificates to speak TLS with" in failed


@pytest.mark.timeout(400)
async def test_udev_keeps_every_rule_that_can_be_tried_without_new_devices() -> None:
    bad = ("{]", "udevRules: ['KERNEL=']", "udevRules: ['RUN+=\"x\"']")
    outcomes = await conformance(Target((*OURS, "udev")), Plan("udevRules: ['SUBSYSTEM==\"mem\"']", {}, bad, patience=30, quiet=1.5))

    assert said(outcomes, Verdict.FAILED) == []
    assert [one.rule.id for one in outcomes if one.verdict is Verdict.NOT_TRIED] == ["change-told", "large-answer"]


def of_folder(folder: Path) -> Plan:
    """How both samples are tested: the details of one are those of the other."""
    good, many = folder / "good", folder / "many"
    for path, count in ((good, 2), (many, 5000)):
        path.mkdir()
        for number in range(count):
            (path / f"{number}-{'x' * 200}").touch()
    bad = ("{]", '{"folder": "relative"}', '{"colour": "red"}')
    return Plan(f'{{"folder": "{good}"}}', {}, bad, f'{{"folder": "{many}"}}', 5000, f"touch {good}/new", patience=30, quiet=1.5)


@pytest.mark.timeout(400)
async def test_the_sample_in_python_keeps_every_rule(folder: Path) -> None:
    wholly_kept(await conformance(Target((sys.executable, str(ROOT / "samples" / "handlers" / "folder.py"))), of_folder(folder)))


@pytest.mark.timeout(700)
async def test_the_sample_in_go_keeps_every_rule(folder: Path) -> None:
    if reason := lacks():
        pytest.skip(reason)
    wholly_kept(await conformance(Target((str(folder_handler()),)), of_folder(folder)))


def test_the_generated_code_in_go_is_that_of_the_published_protocol(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I",
        str(ROOT / "akri" / "discovery"),
        f"--descriptor_set_out={tmp_path / 'set'}",
    ]
    subprocess.run([*command, "discovery.proto"], check=True, capture_output=True, timeout=60)
    (published,) = FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    source = (SOURCE / "v0" / "discovery.pb.go").read_text(encoding="utf-8")
    found = re.search(r'^const file_discovery_proto_rawDesc = "" \+\n((?:\t".*"(?: \+)?\n)+)', source, re.MULTILINE)

    assert found is not None
    literals = [line.strip().removesuffix(" +") for line in found[1].splitlines()]
    raw = b"".join(ast.literal_eval(f"b{literal}") for literal in literals)
    assert FileDescriptorProto.FromString(raw) == published, "run: samples/handlers/go/generate.sh"
