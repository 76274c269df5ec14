"""What data Secrets and ConfigMaps hold."""

from __future__ import annotations

from akri.platforms.kubernetes.secrets import config_map_data, secret_data


def test_a_secret_is_decoded() -> None:
    assert secret_data({"data": {"password": "AP8=", "empty": ""}}) == {"password": b"\x00\xff", "empty": b""}
    assert secret_data({"type": "Opaque"}) == {}


def test_a_config_map_holds_texts_and_bytes() -> None:
    found = config_map_data({"data": {"url": "rtsp://ä"}, "binaryData": {"key": "AP8="}})
    assert found == {"url": "rtsp://ä".encode(), "key": b"\x00\xff"}
    assert config_map_data({"data": None}) == {}


def test_what_is_no_base64_is_left_out() -> None:
    assert secret_data({"data": {"bad": "%", "good": "YQ=="}}) == {"good": b"a"}
