"""Power is cut at any moment: nothing that was acknowledged is lost, and nothing is there by half.

While settings are set, bundles switched and engines built, every write and flush of the disk is
logged. From the log the disk is rebuilt as a real one may be after a cut: what was flushed is
there; of what came later anything may be there or not, or be torn. The file system is repaired as
the board does it at its start, and the project's own readers judge what is found. The disk is that
of the very image in a virtual machine, and one that this machine's kernel writes to at full speed.

Then the emulator is killed at random moments, and the mirror must come up. That alone would show
little: a killed emulator loses nothing that the machine had written, flushed or not. So the
superblock, which the file system writes in one place again and again, is torn by hand as well.

YTM_PREFIXES: cuts in the log. YTM_CUTS: real ones. YTM_SEED: where.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import on_this_machine, virtual
from appliance.cuts import Cut, Logged, choose, judge, repair, where_data_are
from appliance.image import IMAGE, KEY, skipped_for, why_no_image
from appliance.light_bundle import write_light_bundle
from appliance.load import VOLUME, CutOffError, Load, telling
from appliance.virtual import BOOT_S, Virtual, disk_over, switched_on
from appliance.write_log import read_entries
from ytm_device.bundles import DEMO_BUNDLE, FLASHED
from ytm_device.settings.files import parse_layer
from ytm_device.settings.source import nested

PREFIXES = os.environ.get("YTM_PREFIXES")
CUTS = int(os.environ.get("YTM_CUTS", "1"))
SEED = int(os.environ.get("YTM_SEED", "23"))
PYTHON = "/opt/ytm/venv/bin/python"
CHANGES = Path(__file__).with_name("changes.py")
LONGEST_S = 3.0
"""A real cut comes at most so long after the first change."""
SUPERBLOCK_TIME = 1024 + 0x2C
"""Where an ext4 superblock says when it was mounted: in the sector before that of its checksum."""
_SAY_DEMO = "from ytm_device.bundles import DEMO_BUNDLE; print(DEMO_BUNDLE)"
TOOLS = [tool for tool in ("e2fsck", "debugfs", "sfdisk", "qemu-io") if not shutil.which(tool)]

pytestmark = skipped_for(f"needs {', '.join(TOOLS)}" if TOOLS else None)


def _why_no_machine() -> str | None:
    return why_no_image() or virtual.why_not()


with_image = skipped_for(_why_no_machine())


def _on_this_machine(folder: Path) -> Logged:
    disk, before, log, at = (folder / name for name in ("disk", "before", "log", "mounted"))
    at.mkdir()
    on_this_machine.make_disk(disk, at)
    shutil.copy(disk, before)
    light = folder / "light.bundle"
    write_light_bundle(light)
    load = Load(log)
    with on_this_machine.shown(disk, log) as shown:
        words = [sys.executable, str(CHANGES), str(at / "ytm")]
        with telling(on_this_machine.mounted(shown, at, words)) as tell:
            load.settings(tell)
            load.careless(tell)
            load.bundles(tell, [light, DEMO_BUNDLE, light])
            key = load.engines(tell, light)
    entries = read_entries(log)
    return Logged(before, 0, on_this_machine.SIZE, log, entries, load.histories, key)


def _in_the_image(folder: Path) -> Logged:
    log, image = folder / "log", IMAGE
    load = Load(log)
    with switched_on(
        folder, disk_over(image, folder), KEY, screen=False, card=False, log=log
    ) as machine:
        load.change("door", lambda: _key_of_the_door(machine))
        # As `cuts` repairs.
        assert "fsck.repair=yes" in machine.run("cat /proc/cmdline")
        # Emulated, they would take all the time there is.
        machine.run("systemctl stop ytm.target ytm-sound ytm-screen ytm-reflect", BOOT_S)
        with telling(_inside(machine)) as tell:
            load.settings(tell)
            load.careless(tell)
            demo = machine.run(f"{PYTHON} -c '{_SAY_DEMO}'")
            load.bundles(tell, [FLASHED, demo, FLASHED])
            key = load.engines(tell, FLASHED)
        machine.end()
    begin, size = where_data_are(image)
    return Logged(image, begin, size, log, read_entries(log), load.histories, key)


def _inside(machine: Virtual) -> list[str]:
    """Starts `changes.py` in the machine."""
    machine.run("cat > /run/changes.py", give=CHANGES.read_bytes())
    return ["ssh", *machine.ssh_options(), "root@127.0.0.1", f"{PYTHON} /run/changes.py /data/ytm"]


def _key_of_the_door(machine: Virtual) -> str:
    machine.wait_for_door()
    return machine.run("cat /data/door/host_key.pub").split()[1]


LANES = {
    "this machine": (_on_this_machine, on_this_machine.why_not, 60),
    "image": (_in_the_image, _why_no_machine, 200),
}


@pytest.fixture(scope="module", params=LANES)
def lane(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if (why := LANES[name][1]()) is not None:
        pytest.skip(why)
    return name


@pytest.fixture(scope="module")
def logged(lane: str, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return LANES[lane][0](tmp_path_factory.mktemp("logged"))


def test_after_any_cut_all_that_was_acknowledged_is_there(
    lane: str, logged: Logged, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    histories = {name: each for name, each in logged.histories.items() if name != "careless"}
    careful = replace(logged, histories=histories)
    cuts = choose(careful, int(PREFIXES or LANES[lane][2]), chance)
    print(
        f"\nseed {SEED}: {len(logged.entries)} entries,"
        f" {sum(each.flushes for each in logged.entries)} of them flushes,"
        f" {sum(each.size for each in logged.entries) >> 20} MiB;"
        f" cuts: {dict(Counter(cut.way for cut in cuts))}"
    )
    assert judge(careful, cuts, tmp_path, chance) == []


def test_what_is_written_without_a_thought_is_lost(logged: Logged, tmp_path: Path) -> None:
    """So the cuts would show it if something were."""
    careless = replace(logged, histories={"careless": logged.histories["careless"]})
    cuts = [Cut(change.done, "whole") for change in careless.histories["careless"].changes]
    lost = judge(careless, cuts, tmp_path, random.Random(SEED))
    print(f"\n{len(lost)} of {len(cuts)} lost")
    assert lost
    assert all("careless" in line for line in lost)


def test_nothing_but_the_data_partition_is_written_to(logged: Logged) -> None:
    written = [each for each in logged.entries if each.size]
    assert min(each.offset for each in written) >= logged.begin
    assert max(each.offset + each.size for each in written) <= logged.begin + logged.size


def test_a_torn_superblock_is_read_from_its_copy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mirror.toml").write_text("bundle = 'spring.ytm'")
    medium = tmp_path / "medium"
    on_this_machine.make_disk(medium, tmp_path / "data")
    _tear_superblock(medium, "raw", 0, random.Random(SEED))
    # What a start would do that is not told to repair everything.
    assert subprocess.run(["e2fsck", "-p", medium], capture_output=True).returncode == 8
    repair(medium)
    found = subprocess.run(["debugfs", "-R", "cat /mirror.toml", medium], capture_output=True)
    assert found.stdout == b"bundle = 'spring.ytm'"


@with_image
def test_the_mirror_comes_up_after_real_cuts(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    acknowledged: list[float] = []
    disk = disk_over(IMAGE, tmp_path)
    for number in range(CUTS + 1):
        with switched_on(tmp_path, disk, KEY) as machine:
            machine.wait_for_door()
            machine.wait_for(lambda: machine.try_("mountpoint -q /data").returncode == 0)
            if number:
                layer = parse_layer(machine.run("cat /data/ytm/mirror.toml"), Path("mirror.toml"))
                assert layer in [nested({VOLUME: value}) for value in acknowledged]
            machine.wait_for(lambda: machine.status("sound") and machine.status("screen"))
            machine.wait_for(lambda: machine.screen().std() > 1)
            # As after ten minutes: else the fourth start in a row would show replay only.
            machine.run("systemctl start ytm-settled", BOOT_S)
            if number < CUTS:
                after_s = chance.uniform(0, LONGEST_S)
                acknowledged = _cut_while_setting(machine, number, after_s)
                print(f"\nseed {SEED}: cut {number + 1} after {after_s:.3f} s: {acknowledged}")
        if number < CUTS and number % 2 == 0:
            _tear_superblock(disk, "qcow2", where_data_are(IMAGE)[0], chance)


def _cut_while_setting(machine: Virtual, number: int, after_s: float) -> list[float]:
    """Cut power while settings are set; the last that was acknowledged, and the one on its way."""
    with telling(_inside(machine)) as tell:
        acknowledged = on_its_way = -float(number)
        tell("by_call", VOLUME, str(on_its_way))
        cut = threading.Timer(after_s, machine.cut_power)
        cut.start()
        try:
            while True:
                on_its_way -= 1 / 64
                tell("by_call", VOLUME, str(on_its_way))
                acknowledged = on_its_way
        except CutOffError:
            cut.join()
            return [acknowledged, on_its_way]


def _tear_superblock(disk: Path, kind: str, begin: int, chance: random.Random) -> None:
    """Leave the file system at byte `begin` with a superblock of which one sector is newer."""
    write = f"write -P {chance.randrange(1, 256)} {begin + SUPERBLOCK_TIME} 4"
    subprocess.run(["qemu-io", "-f", kind, "-c", write, disk], check=True, capture_output=True)
