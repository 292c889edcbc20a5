"""How well the mirror recognises people in too little and too much light.

    python tests/light_on_clips.py [--json]

needs the clips of `../shared/data/camera`. What the demo bundle makes of a picture in another light
is compared with what it makes of the picture as it was filmed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gallery import Array, exposed, linear
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.camera.file import read_frames
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.light.leveller import LightLeveller
from ytm_device.reflecting.reflector import encoder_input, picture

CLIPS = Path(__file__).resolve().parents[2] / "shared/data/camera"
STOPS = (-3, -2, -1, 0, 1, 2)
NOISE = 0.3
PER_CLIP, STRIDE = 3, 15
_SEED = 0


@dataclass(frozen=True)
class Row:
    """PSNR in dB against the reconstruction of the well-lit picture."""

    plain_db: float
    """Not levelled: median."""
    plain_worst_db: float
    """The worst tenth."""
    levelled_db: float
    levelled_worst_db: float


def clip_pictures(per_clip: int = PER_CLIP) -> list[Array]:
    """Pictures of every clip, uint8 (h, w, 3), at the demo bundle's size."""
    with open_bundle(DEMO_BUNDLE) as bundle:
        image = bundle.manifest.image
    found: list[Array] = []
    for path in sorted(CLIPS.iterdir()):
        frames = list(read_frames(path, image, per_clip * STRIDE))
        found += [each.pixels for each in frames[::STRIDE]]
    return found


def reconstruction(bundle: Bundle) -> Callable[[Array], Array]:
    """What the bundle makes of a picture: uint8 (h, w, 3) -> the same."""
    encoder = OnnxEngine(bundle.graph_path("image_encoder"))
    decoder = OnnxEngine(bundle.graph_path("image_decoder"))
    return lambda pixels: picture(decoder.run(latent=encoder.run(image=encoder_input(pixels))))


def psnr_db(one: Array, other: Array) -> float:
    error = np.mean(np.square(one.astype(float) - other))
    return float(10 * np.log10(255**2 / max(error, 1e-3)))


def sweep(pictures: list[Array]) -> dict[float, Row]:
    """Every picture at every exposure, each levelled as the first of its camera."""
    random = np.random.default_rng(_SEED)
    with open_bundle(DEMO_BUNDLE) as bundle:
        rebuilt = reconstruction(bundle)
        true = [rebuilt(pixels) for pixels in pictures]
        rows = {}
        for stops in STOPS:
            lit = [exposed(linear(pixels), random, NOISE, stops) for pixels in pictures]
            levelled = [LightLeveller().level(pixels, 0) for pixels in lit]
            rows[stops] = Row(
                *_summary(map(rebuilt, lit), true), *_summary(map(rebuilt, levelled), true)
            )
    return rows


def _summary(rebuilt: Iterable[Array], true: list[Array]) -> tuple[float, float]:
    found = [psnr_db(one, other) for one, other in zip(rebuilt, true, strict=True)]
    return float(np.median(found)), float(np.percentile(found, 10))


def cost_ms(pictures: list[Array]) -> float:
    """Processor time a picture, in milliseconds."""
    leveller = LightLeveller()
    begin_s = time.process_time()
    for n, pixels in enumerate(pictures):
        leveller.level(pixels, n)
    return (time.process_time() - begin_s) / len(pictures) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pictures = clip_pictures()
    rows, cost = sweep(pictures), cost_ms(pictures)
    if arguments.json:
        print(json.dumps({"stops": {s: asdict(r) for s, r in rows.items()}, "cost_ms": cost}))
        return
    print(
        "| stops | as it is: median, worst tenth | levelled: median, worst tenth |\n|---|---|---|"
    )
    for stops, row in rows.items():
        cells = "{:.1f}, {:.1f} | {:.1f}, {:.1f}".format(*asdict(row).values())
        print(f"| {stops:+g} | {cells} |")
    print(f"\n{len(pictures)} pictures; {cost:.3f} ms a picture")


if __name__ == "__main__":
    main()
