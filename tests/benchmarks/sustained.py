"""How many reflections a second the services give on so many cores while the sound plays.

    python tests/benchmarks/sustained.py --cores 2 --rate 90 --seconds 60

A film of more pictures a second than can be answered plays as the camera, in real time; reflect and
sound run as on a board, each a process, on ONNX Runtime and a paced ALSA card that says when it has
run dry. With --screen the screen is drawn as well, 1080x1920 pixels into memory. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from films import BALL, film
from installation import ALWAYS, write_settings
from mirror_process import COMMAND
from sound_latency import built_card, underruns_ns, with_card
from waiting import HANG_S, wait_for
from ytm_device.benchmark.machine import this_machine
from ytm_device.options import REFLECT, SCREEN, SOUND
from ytm_device.status import read_status

WARM_UP_S = 3.0
SIDE = 256
"""Of the film's pictures, in pixels."""


def start(
    name: str, flags: Sequence[object], environment: Mapping[str, str], stack: ExitStack
) -> subprocess.Popen[bytes]:
    """Run one service until the stack ends."""
    process = subprocess.Popen([*COMMAND, name, *map(str, flags)], env=environment)

    def end() -> None:
        process.terminate()
        process.wait(HANG_S)

    stack.callback(end)
    return process


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """That all threads of a process have used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, rate_hz: int, seconds: float, screen: bool, bundle: Path | None) -> Any:
    """Let the services run for so long, and ask them how it went."""
    camera = film(folder / "film.mp4", [(BALL, WARM_UP_S + seconds + 30)], rate_hz, SIDE)
    settings = folder / "mirror.toml"
    write_settings(settings, ALWAYS)
    environment = with_card(folder, built_card(folder), os.environ) | {"OMP_NUM_THREADS": "1"}
    common = ["--settings", settings, "--data", folder / "data", "--run-dir", folder]
    common += [] if bundle is None else ["--bundle", bundle]
    wanted = {REFLECT: ["--camera", camera], SOUND: ["--pcm", "card"]}
    if screen:
        wanted[SCREEN] = ["--headless"]
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        processes = {
            name: start(name, [*common, *flags], environment, stack)
            for name, flags in wanted.items()
        }
        wait_for(lambda: all(read_status(folder, name).get("frames", 1) for name in wanted))
        wait_for(lambda: read_status(folder, REFLECT).get("reflections"))
        wait_for(lambda: read_status(folder, SOUND).get("samples"))
        time.sleep(WARM_UP_S)
        before = {name: dict(read_status(folder, name)) for name in wanted}
        spent_before_s = {name: cpu_s(process) for name, process in processes.items()}
        dry_before = len(underruns_ns(folder, "card"))
        time.sleep(seconds)
        after = {name: dict(read_status(folder, name)) for name in wanted}
        spent_s = {name: cpu_s(each) - spent_before_s[name] for name, each in processes.items()}
        dry = len(underruns_ns(folder, "card")) - dry_before
    reflected = after[REFLECT]["reflections"] - before[REFLECT]["reflections"]
    elapsed_s = (after[REFLECT]["written_ns"] - before[REFLECT]["written_ns"]) / 1e9
    return {
        "film, pictures a second": rate_hz,
        "reflections a second": round(reflected / elapsed_s, 1),
        "frames dropped": after[REFLECT]["dropped"] - before[REFLECT]["dropped"],
        "frame to reflection, ms": {
            at: after[REFLECT][f"latency_{at}_ms"] for at in ("p50", "p95", "p99")
        },
        # However busy the machine is: what the work itself takes.
        "CPU ms a reflection, decoding the film included": round(
            1000 * spent_s[REFLECT] / max(reflected, 1), 1
        ),
        "CPU s a second": {name: round(each_s / seconds, 3) for name, each_s in spent_s.items()},
        "underruns, by the card": dry,
        "underruns, by the service": after[SOUND]["underruns"] - before[SOUND]["underruns"],
        "bridged": after[SOUND]["bridged"] - before[SOUND]["bridged"],
        "real-time priority": after[SOUND]["real_time"],
        "backend": after[REFLECT]["backend"],
        "load before, after": [round(load, 1), round(os.getloadavg()[0], 1)],
        "cpu": this_machine().cpu,
        "cores": len(os.sched_getaffinity(0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="that may be used")
    parser.add_argument("--rate", type=int, default=90, help="pictures a second of the film")
    parser.add_argument("--seconds", type=float, default=60, help="that are counted")
    parser.add_argument("--screen", action="store_true", help="draw the screen as well")
    parser.add_argument("--bundle", type=Path, help="else the demo bundle")
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        found = measure(Path(name), given.rate, given.seconds, given.screen, given.bundle)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
