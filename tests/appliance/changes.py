"""Changes what lasts on a board, one thing after the other. Run in the machine whose power is cut.

    python changes.py /data/ytm

Each line on standard input is a JSON list, a verb and its arguments. The answer, once that is done,
is a line of JSON: what is there then.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ytm_bundle.bundle import open_bundle, writing_bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_device.graph_check import judged
from ytm_device.last_good import stated_id
from ytm_device.settings.source import SettingsSource
from ytm_device.settings.store import set_key

DATA = Path(sys.argv[1])
SOURCE = SettingsSource(data=DATA)
CARELESS = DATA / "careless"
_COMMANDS = Path(sys.executable).parent


def by_command(key: str, typed: str) -> None:
    """Change a setting as a technician does, by `ytm-mirror ctl set`."""
    _run("ytm-mirror", "ctl", "set", "--data", str(DATA), key, "--", typed)


def by_call(key: str, typed: str) -> None:
    """Change a setting by what that command calls."""
    set_key(SOURCE.overlay, key, typed)


def install(source: str) -> str:
    """Put the bundle `source` in the place of the installed one; its id."""
    with open_bundle(Path(source)) as bundle:
        with writing_bundle(DATA / "bundle") as folder:
            left_out = shutil.ignore_patterns(SUMS_NAME)
            shutil.copytree(bundle.folder, folder, dirs_exist_ok=True, ignore=left_out)
        return bundle.id


def find_good() -> str:
    """Judge the installed bundle as the services do, who keep a copy of it; its id."""
    return judged(DATA / "bundle", SOURCE.last_good_bundle)


def build(bundle: str) -> dict[str, Any]:
    """Build the engines of a bundle once more; their id and their key."""
    words = (bundle, "--backend", "onnxruntime", "--into", str(DATA), "--force", "--json")
    told = json.loads(_run("ytm-build-engine", *words))
    return {"id": stated_id(Path(told["engines"])), "key": told["key"]}


def put_carelessly(text: str) -> str:
    """Replace a file as one should not: nothing sees to it that it reaches the medium."""
    temporary = CARELESS.with_suffix(".partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(CARELESS)
    return text


VERBS = (by_command, by_call, install, find_good, build, put_carelessly)


def _run(command: str, *words: str) -> str:
    done = subprocess.run([_COMMANDS / command, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Do as told until nothing more is."""
    verbs = {verb.__name__: verb for verb in VERBS}
    for line in sys.stdin:
        verb, *words = json.loads(line)
        print(json.dumps(verbs[verb](*words)), flush=True)


if __name__ == "__main__":
    main()
