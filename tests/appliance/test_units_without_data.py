"""A partition for what lasts that is not there: the show goes on, and nothing is promised to last.

The units of an image under a real systemd, in a container: see `machine.py`. That picture and sound
come up is seen in the virtual machine: `test_image_media.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.machine import PROVISIONING, SERVICES, Machine, booted, why_not
from waiting import wait_for

MIRROR = (
    *("env", "PYTHONPATH=/opt/ytm/tree/device:/opt/ytm/tree/model_build"),
    "/opt/ytm/venv/bin/ytm-mirror",
)
DATA_MOUNT = PROVISIONING / "appliance/image/etc/systemd/system/data.mount"
DEVICE = "dev-disk-by\\x2dpartlabel-ytm\\x2ddata.device"
SOON_MISSED = "[Unit]\nJobRunningTimeoutSec=1\n"

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def _lose_data(machine: Machine) -> None:
    """As at a start of an image whose medium has no such partition."""
    machine.run("systemctl", "stop", "ytm.target", "ytm-data.service")
    machine.run("umount", "/data")
    shutil.copy(DATA_MOUNT, machine.etc / "systemd/system")
    machine.drop_in(DEVICE, SOON_MISSED)
    machine.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/ytm.conf")
    machine.run("systemctl", "start", "ytm.target")


def test_a_missing_partition_stops_no_service_and_nothing_is_written_beneath(
    tmp_path: Path,
) -> None:
    with booted(tmp_path) as machine:
        wait_for(machine.all_active)
        assert machine.run("stat", "--format=%U %a", "/data/ytm") == "ytm 755"
        _lose_data(machine)
        assert machine.show("data.mount", "ActiveState")["ActiveState"] == "inactive"
        wait_for(machine.all_active)
        assert machine.run("find", "/data") == "/data"
        refused = machine.try_(*MIRROR, "ctl", "set", "sound.volume_db", "--", "-3")
        assert refused.returncode != 0
        assert "is the data partition mounted?" in refused.stdout + refused.stderr
        assert machine.run("find", "/data") == "/data"
        assert all(machine.status(name) for name in SERVICES)
