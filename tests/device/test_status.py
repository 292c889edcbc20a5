"""What a service says of itself: replaced whole, and never a reason to stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ytm_device.status import PERIOD_S, StatusReporter, read_status, write_status


def test_a_status_is_replaced_whole(tmp_path: Path) -> None:
    write_status(tmp_path, "sound", {"samples": 1})
    write_status(tmp_path, "sound", {"samples": 2})
    assert json.loads((tmp_path / "sound.json").read_text()) == {"samples": 2}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", ["", "{half", "[1]", "\x00", "{}" + " " * (65 << 10)])
def test_a_status_that_cannot_be_read_says_nothing(tmp_path: Path, content: str) -> None:
    assert read_status(tmp_path, "reflect") == {}
    (tmp_path / "reflect.json").write_text(content)
    assert read_status(tmp_path, "reflect") == {}


def test_a_report_is_due_at_once_and_then_once_a_period(tmp_path: Path) -> None:
    reporter, now_ns, period_ns = StatusReporter(tmp_path, "sound"), 5, round(PERIOD_S * 1e9)
    assert reporter.due(now_ns)
    reporter.report(now_ns, {})
    assert not reporter.due(now_ns + period_ns - 1)
    assert reporter.due(now_ns + period_ns)


def test_without_its_folder_a_service_goes_on_and_says_so_once_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    reporter = StatusReporter(folder, "sound")
    reporter.report(0, {"samples": 1})
    reporter.report(0, {"samples": 2})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{folder}: the status cannot be written (No such file or directory)")
    folder.mkdir()
    reporter.report(0, {"samples": 3})
    assert read_status(folder, "sound") == {"samples": 3}
    assert capsys.readouterr().err == ""
    shutil.rmtree(folder)
    reporter.report(0, {"samples": 4})
    assert len(capsys.readouterr().err.splitlines()) == 1
