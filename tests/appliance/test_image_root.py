"""The very root file system of an image, in a container: what goes wrong above the kernel.

There is neither camera, card nor display. The same faults beside a picture and a sound, in an
emulated machine, are in `test_image_faults.py`. For key and image see `make test-appliance`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.image import IMAGE, NEEDS_IMAGE, skipped_for
from appliance.image_root import Street, started, why_not
from appliance.light_bundle import write_light_bundle
from appliance.machine import SERVICES, Machine
from appliance.virtual import BIN
from bad_graphs import SPOILS
from waiting import wait_for

pytestmark = [skipped_for(why_not()), NEEDS_IMAGE]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("image")
    data = folder / "data"
    data.mkdir()
    with started(IMAGE, folder, data) as street:
        wait_for(street.machine.all_active)
        yield street


@pytest.fixture
def machine(street: Street) -> Machine:
    return street.machine


def test_health_names_what_is_not_there_and_what_it_does_not_understand(machine: Machine) -> None:
    done = machine.try_(f"{BIN}/ytm-health", "--json")
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 2
    codes = {each["code"] for each in json.loads(done.stdout)["findings"]}
    assert {"sound.no_card", "screen.no_display", "watchdog.board"} <= codes
    assert machine.try_(f"{BIN}/ytm-health", "--no-such-flag").returncode == 3


def test_the_benchmark_runs_beside_the_show_and_will_not_disturb_it(machine: Machine) -> None:
    refused = machine.try_(f"{BIN}/ytm-benchmark", "sound", "--seconds", "1")
    assert refused.returncode == 1
    assert "systemctl stop ytm.target" in refused.stderr
    words = ("sound", "--no-devices", "--seconds", "1", "--json")
    told = machine.try_(f"{BIN}/ytm-benchmark", *words)
    assert told.returncode in (0, 1), told.stderr
    assert json.loads(told.stdout)["stages"]


def test_a_bundle_that_crashes_is_refused_and_the_old_one_goes_on(
    machine: Machine, tmp_path: Path
) -> None:
    wait_for(lambda: all(machine.status(name) for name in SERVICES))
    before = {name: machine.status(name)["bundle"] for name in SERVICES}
    pids = machine.pids()
    bundle = tmp_path / "bundle"
    write_light_bundle(bundle)
    SPOILS["a crash"](bundle)
    shutil.copytree(bundle, machine.data / "ytm/new")
    machine.run("mv", "/data/ytm/new", "/data/ytm/bundle")

    def problems() -> list[str]:
        return [str(machine.status(name).get("bundle_problem")) for name in SERVICES]

    wait_for(lambda: all("crash" in problem for problem in problems()))
    assert {name: machine.status(name)["bundle"] for name in SERVICES} == before
    assert machine.pids() == pids
    assert "bundle.problem" in machine.try_(f"{BIN}/ytm-health").stdout
    machine.run("rm", "-r", "/data/ytm/bundle")


def test_without_a_data_partition_services_are_up_and_nothing_is_kept(tmp_path: Path) -> None:
    with started(IMAGE, tmp_path) as street:
        wait_for(street.machine.all_active)
        refused = street.machine.try_(f"{BIN}/ytm-mirror", "ctl", "set", "sound.volume_db", "-3")
        assert refused.returncode != 0
        assert "is the data partition mounted?" in refused.stderr
        assert street.machine.run("find", "/data") == "/data"
