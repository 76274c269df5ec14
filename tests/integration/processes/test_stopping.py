"""Who counts brokers while others end theirs."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from akri.platforms.local.stopping import running_containers


def test_records_that_go_while_they_are_looked_at_are_passed_over(tmp_path: Path) -> None:
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            for number in range(20):
                (tmp_path / "brokers" / str(number) / "main").mkdir(parents=True, exist_ok=True)
            for number in range(20):
                shutil.rmtree(tmp_path / "brokers" / str(number))

    (tmp_path / "brokers").mkdir()
    churn = threading.Thread(target=come_and_go)
    churn.start()
    try:
        assert [running_containers(tmp_path) for _ in range(300)] == [()] * 300
    finally:
        over.set()
        churn.join()
