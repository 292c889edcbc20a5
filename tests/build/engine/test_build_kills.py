"""Killed at any moment, a build leaves the engines that were there, and they load.

Fifty times in the long version: `YTM_BUILD_KILLS=50`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from ytm_build.engine.build import build_engines
from ytm_build.engine.onnx import OnnxBuilder
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.engines import find_engines
from ytm_device.engines.golden import distance
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.engines.platform import onnx_key

KILLS = int(os.environ.get("YTM_BUILD_KILLS", "8"))
SEED = 7
BUILDS = """
import sys
from pathlib import Path
from ytm_build.engine.build import build_engines
from ytm_build.engine.onnx import OnnxBuilder
from ytm_bundle.bundle import open_bundle
path = Path(sys.argv[1])
with open_bundle(path) as bundle:
    print("begin", flush=True)
    # Every other build goes on from what the one before it, which was killed, has finished.
    build_engines(bundle, OnnxBuilder(), [path / "engines"], print, force=sys.argv[2] == "force")
    while True:
        build_engines(bundle, OnnxBuilder(), [path / "engines"], bool, force=True)
"""


def check(bundle: Bundle) -> None:
    """The bundle is whole, and its engines give what they must."""
    problems: list[str] = []
    engines = find_engines([bundle.folder / "engines"], onnx_key(bundle), problems)
    assert problems == []
    assert engines is not None
    for name, graph in bundle.manifest.graphs.items():
        golden = bundle.golden(name)
        with closing(OnnxEngine(engines.engine_path(name))) as engine:
            assert distance(engine.run(**golden.inputs), golden.output) <= graph.tolerance


def test_a_build_that_is_killed_leaves_the_engines_that_were_there(bundle_path: Path) -> None:
    chance = random.Random(SEED)
    with open_bundle(bundle_path) as bundle:
        began_s = time.monotonic()
        build_engines(bundle, OnnxBuilder(), [bundle_path / "engines"], bool)
        longest_s = 2 * (time.monotonic() - began_s)
    seen: dict[str, int] = {}
    for number in range(KILLS):
        words = [sys.executable, "-c", BUILDS, str(bundle_path), "force" if number % 2 else ""]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begin\n"
            time.sleep(chance.uniform(0, longest_s))
            process.kill()
        left = sorted(
            path.name.partition("-")[0] if path.name.startswith(".unf") else path.suffix
            for path in (bundle_path / "engines").glob(".*")
        )
        seen[" ".join(left) or "nothing"] = seen.get(" ".join(left) or "nothing", 0) + 1
        with open_bundle(bundle_path) as bundle:
            check(bundle)
    print(json.dumps({"kills": KILLS, "left": seen}))
    # Whatever the kills left, the next build clears away.
    with open_bundle(bundle_path) as bundle:
        build_engines(bundle, OnnxBuilder(), [bundle_path / "engines"], bool, force=True)
        check(bundle)
    assert not list((bundle_path / "engines").glob(".*"))
