"""How long a flash before the camera takes to be seen and heard, through a whole installation.

    python tests/benchmarks/flash_latency.py --flashes 40

`ytm-benchmark` measures the same from within, on any machine; this is the witness outside. A film
jumps from black to white; reflect, sound and screen run as on a board, on ONNX Runtime, a paced
ALSA card and an X server. The clock starts when the first white frame was taken, as its reflection
says. Heard is the first sample above silence; seen is half of the change on the screen. The demo
bundle's graphs run in full, but the sound that they give is replaced by silence for black and noise
for white, so that it can be found. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from eyes import XServer, read_screen
from films import BLACK, WHITE, film
from installation import ALWAYS, installed
from sound_latency import DITHER, LOUD, Heard, built_card, heard_by_card
from waiting import HANG_S, wait_for
from ytm_bundle.bundle import Bundle, open_bundle, writing_bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_device.benchmark.flash import SEARCH_S, change_ns
from ytm_device.benchmark.screening import Shown
from ytm_device.benchmark.stages import percentiles_ms
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.bus.channel import Subscriber
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.options import REFLECT, SCREEN, SOUND
from ytm_device.run_dirs import endpoint

BLACK_S, WHITE_S = (0.5, 0.9), 0.4
"""A sound has ended before the next flash; irregular, so that nothing falls into step."""
LOOK_S = 0.002
STEEP = 4
"""Nothing is heard until half of the way from black to white, and all from three quarters on."""
LIGHT = 100
"""Mean level of a reflection's picture, of 255, between black's and white's."""


def flashing_mind(out: Path) -> Path:
    """The demo bundle, silent for black and loud for white."""
    with open_bundle(DEMO_BUNDLE) as bundle:
        black, white = (_latent(bundle, level) for level in (0.0, 1.0))
    way = (white - black) / np.sum((white - black) ** 2)
    with writing_bundle(out) as folder:
        ignore = shutil.ignore_patterns(SUMS_NAME)
        shutil.copytree(DEMO_BUNDLE, folder, dirs_exist_ok=True, ignore=ignore)
        _replace_result(folder / "graphs/image_to_sound.onnx", way, float(black @ way), 1.0)
        loudest = np.zeros_like(way)
        loudest[0] = 1
        _replace_result(folder / "graphs/sound_decoder.onnx", loudest, 0.0, LOUD)
    return out


def _latent(bundle: Bundle, level: float) -> np.ndarray:
    image = bundle.manifest.image
    engine = OnnxEngine(bundle.graph_path("image_encoder"))
    try:
        return np.array(
            engine.run(image=np.full((1, 3, image.height, image.width), level, "<f4"))[0]
        )
    finally:
        engine.close()


def _replace_result(path: Path, way: np.ndarray, offset: float, scale: float) -> None:
    """The result becomes `scale` if the latent lies so far along `way`; all else is still run."""
    model = onnx.load(str(path))
    graph, result = model.graph, model.graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == result else name for name in node.output]
    dimensions = len(graph.output[0].type.tensor_type.shape.dim)
    constants = {
        "way": way.astype(np.float32)[:, None],
        "half_way": np.array(offset + 0.5, np.float32),
        "steep": np.array(STEEP, np.float32),
        "scale": np.array(scale, np.float32),
        "nothing": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "rank": np.array([-1] + [1] * (dimensions - 1), np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    node = helper.make_node
    graph.node.extend(
        [
            node("MatMul", ["latent", "way"], ["along"]),
            node("Sub", ["along", "half_way"], ["moved"]),
            node("Mul", ["moved", "steep"], ["decided"]),
            node("Clip", ["decided", "nothing", "one"], ["level"]),
            node("Mul", ["level", "scale"], ["scaled"]),
            node("Reshape", ["scaled", "rank"], ["everywhere"]),
            node("Mul", ["before", "nothing"], ["shape_only"]),
            node("Add", ["shape_only", "everywhere"], [result]),
        ]
    )
    onnx.save(model, str(path))


def flashes(path: Path, number: int) -> Path:
    """A film of so many flashes."""
    chance = random.Random(number)
    parts = [[(BLACK, chance.uniform(*BLACK_S)), (WHITE, WHITE_S)] for _ in range(number)]
    return film(path, [part for pair in parts for part in pair])


@contextmanager
def watched(server: XServer) -> Iterator[Shown]:
    """Look at a line in the middle of the screen, every `LOOK_S`."""
    (pixels,) = wait_for(lambda: [e for e in (read_screen(server.file),) if e is not None])
    row_bytes = pixels.shape[1] * 4
    seen, leave = Shown(), threading.Event()
    with server.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as at:
        middle = len(at) - (pixels.shape[0] // 2) * row_bytes

        def look() -> None:
            while not leave.wait(LOOK_S):
                now_ns = time.monotonic_ns()
                line = np.frombuffer(at[middle : middle + row_bytes], np.uint8)
                seen.times_ns.append(now_ns)
                seen.levels.append(float(line.reshape(-1, 4)[:, :3].mean()))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield seen
        finally:
            leave.set()
            thread.join(HANG_S)


def flashes_taken_ns(run_dir: Path, number: int) -> list[int]:
    """When the first white frame of each of so many flashes was taken, as reflections say."""
    taken_ns: list[int] = []
    was_light = True
    with Subscriber(endpoint(run_dir)) as subscriber:
        while len(taken_ns) < number:
            reflection = subscriber.newest(1.0)
            if reflection is None:
                continue
            light = reflection.image.mean() > LIGHT
            if light and not was_light:
                taken_ns.append(reflection.taken_ns)
            was_light = light
    time.sleep(SEARCH_S)
    return taken_ns


def heard_ns(heard: Heard, since_ns: int, rate_hz: int) -> int | None:
    """When the first sample above silence was heard after `since_ns`; None if it was not silent."""
    at = heard.before(since_ns, rate_hz)
    loud = np.abs(heard.samples[at : at + round(SEARCH_S * rate_hz)].astype(int)) > DITHER
    first = int(np.argmax(loud))
    return heard.at_ns(at + first, rate_hz) if first else None


def figures(times_ns: Sequence[int | None], since_ns: Sequence[int]) -> dict[str, float]:
    """Percentiles in ms, and how many were found."""
    late_ns = [
        at_ns - from_ns
        for at_ns, from_ns in zip(times_ns, since_ns, strict=True)
        if at_ns is not None
    ]
    found: dict[str, float] = {"found": len(late_ns)}
    if not late_ns:
        return found
    return found | {
        f"{name}_ms": round(value, 1) for name, value in percentiles_ms(late_ns).items()
    }


def measure(folder: Path, number: int) -> dict[str, object]:
    """Flash so often, and find each on the screen and in the sound."""
    bundle = flashing_mind(folder / "bundle")
    camera = flashes(folder / "flashes.mp4", number)
    environment = dict(os.environ) | {"XDG_RUNTIME_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    with open_bundle(bundle) as opened:
        rate_hz = opened.manifest.sound.playback_rate_hz
    with installed(
        folder, bundle, camera, built_card(folder), environment, settings=ALWAYS
    ) as running:
        running.mirrors()
        with watched(running.x_server) as seen:
            taken_ns = flashes_taken_ns(running.run_dir, number)
        heard = heard_by_card(running.folder)
        said = {name: running.status(name) for name in (REFLECT, SOUND, SCREEN)}
    return {
        "flashes": number,
        "seen": figures([change_ns(seen, each, SEARCH_S) for each in taken_ns], taken_ns),
        "heard": figures([heard_ns(heard, each, rate_hz) for each in taken_ns], taken_ns),
        "answered": said[REFLECT]["latency_p50_ms"],
        "the services' own p50": {
            "screen": said[SCREEN]["frame_to_screen_p50_ms"],
            "sound": said[SOUND]["frame_to_sound_p50_ms"],
        },
        "underruns": heard.underruns,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flashes", type=int, default=40, help="how many")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        print(json.dumps(measure(Path(name), arguments.flashes), indent=1))


if __name__ == "__main__":
    main()
