"""The demo bundle with a sound that costs an emulated processor less; nets as they are.

    python tests/appliance/light_bundle.py OUT

An emulated processor computes sines and products some fifty times slower. With the twelve rounds of
phase reconstruction that the demo bundle asks for, its sound alone would take all of it, and with
one round at 48 kHz still most; with one round and a third of the samples it is coarse and deep, and
is made the same way.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ytm_bundle.bundle import open_bundle
from ytm_bundle.checksums import SUMS_NAME, write_sums
from ytm_bundle.manifest import INVERTER, StreamInversion
from ytm_device.bundles import DEMO_BUNDLE

RATE_HZ = 16000
LIGHT = StreamInversion(look_ahead_frames=0, iterations=1, updates=0)


def write_light_bundle(out: Path) -> None:
    """Write the folder `out`, which must not exist."""
    shutil.copytree(DEMO_BUNDLE, out)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    manifest["sound"]["inversion"] = LIGHT.model_dump()
    manifest["sound"] |= {"analysis_rate_hz": RATE_HZ, "playback_rate_hz": RATE_HZ}
    # It was made for the other rounds.
    del manifest["graphs"][INVERTER]
    (out / "graphs" / f"{INVERTER}.onnx").unlink()
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (out / SUMS_NAME).unlink()
    write_sums(out)
    with open_bundle(out):
        pass


if __name__ == "__main__":
    write_light_bundle(Path(sys.argv[1]))
