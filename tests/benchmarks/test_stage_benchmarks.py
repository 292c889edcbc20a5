"""The stages of a frame's way, under the names that `ytm-benchmark` gives them on a board.

The demo bundle's, one thread each, without a camera, a display or a sound card: what is left of a
stage is its computing. `flip` is SDL's into memory, `write` libasound's into its PCM `null`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.errors import MediaError
from ytm_device.benchmark.hops import CHANNELS
from ytm_device.benchmark.stages import STAGES
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.bus.channel import Publisher
from ytm_device.camera.source import pixels, scaling, sink
from ytm_device.camera.visitor import draw_visitor
from ytm_device.engines.mind import ANSWERING, OnnxMind
from ytm_device.frame import Frame
from ytm_device.gstreamer import Pipeline
from ytm_device.light.leveller import LightLeveller
from ytm_device.presence.detector import PresenceDetector
from ytm_device.presence.parameters import PresenceParameters
from ytm_device.reflecting.reflector import Reflector, encoder_input, picture
from ytm_device.run_dirs import endpoint
from ytm_device.screen.outlets import Outlet
from ytm_device.screen.picture import UNMOVED, Enlarger, Shift
from ytm_device.screen.window import HEADLESS_SIZE, SdlPresenter
from ytm_device.settings.model import ScreenSettings
from ytm_device.sound.pcm import AlsaSink, Quantiser
from ytm_device.sound.player import player_for
from ytm_device.sound.settings import CEILING_DBFS

WIDTH, HEIGHT, RATE_HZ = 640, 480, 30
PERIOD_NS = 1_000_000_000 // RATE_HZ
DRAWN_S = 8.0
"""Into a visit: somebody stands there."""
ROUNDS = {"write": 150}
"""Of a stage that the clock paces once it is a second ahead."""
Stage = Callable[[], object]
Make = Callable[[Bundle, Path, ExitStack], Stage]


def _camera_read(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    """A webcam's picture, scaled by GStreamer."""
    caps = f"video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate={RATE_HZ}/1"
    description = (
        f"appsrc name=made format=time caps={caps} ! {scaling(bundle.manifest.image)} !"
        f" {sink(realtime=False, newest_only=False)}"
    )
    pipeline = stack.enter_context(Pipeline("a picture", description, {}, MediaError, "none"))
    data, numbers = draw_visitor(DRAWN_S, WIDTH, HEIGHT).tobytes(), itertools.count()

    def read() -> np.ndarray:
        pipeline.push("made", data, next(numbers) * PERIOD_NS, PERIOD_NS, len(data))
        sample = pipeline.pull(10)
        assert sample is not None
        return pixels(sample)

    return read


def _frames(bundle: Bundle) -> Callable[[], Frame]:
    """Pictures of a visitor, each taken a thirtieth of a second after the one before."""
    image = bundle.manifest.image
    drawn = [draw_visitor(DRAWN_S + n / RATE_HZ, image.width, image.height) for n in range(30)]
    numbers = itertools.count()

    def following() -> Frame:
        number = next(numbers)
        return Frame(drawn[number % len(drawn)], (number + 1) * PERIOD_NS, number, "drawn")

    return following


def _presence(bundle: Bundle, _folder: Path, _stack: ExitStack) -> Stage:
    detector, following = PresenceDetector(PresenceParameters()), _frames(bundle)

    def see() -> object:
        frame = following()
        return detector.see(frame.pixels, frame.taken_ns)

    return see


def _exposure(bundle: Bundle, _folder: Path, _stack: ExitStack) -> Stage:
    leveller, following = LightLeveller(), _frames(bundle)

    def level() -> object:
        frame = following()
        return leveller.level(frame.pixels, frame.taken_ns)

    return level


def _mind(bundle: Bundle, stack: ExitStack) -> OnnxMind:
    paths = {name: bundle.graph_path(name) for name in ANSWERING}
    return stack.enter_context(closing(OnnxMind(paths)))


def _encode(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    mind, following = _mind(bundle, stack), _frames(bundle)
    return lambda: mind.run("image_encoder", image=encoder_input(following().pixels))


def _golden(bundle: Bundle, name: str) -> dict[str, np.ndarray]:
    return {key: value[:1] for key, value in bundle.golden(name).inputs.items()}


def _associate(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    mind, inputs = _mind(bundle, stack), _golden(bundle, "image_to_sound")
    return lambda: mind.run("image_to_sound", **inputs)


def _decode_sound(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    mind, inputs = _mind(bundle, stack), _golden(bundle, "sound_decoder")
    return lambda: np.clip(mind.run("sound_decoder", **inputs)[0], 0, 1)


def _decode_picture(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    mind, inputs = _mind(bundle, stack), _golden(bundle, "image_decoder")
    return lambda: picture(mind.run("image_decoder", **inputs))


def _enlarge(bundle: Bundle, _folder: Path, _stack: ExitStack) -> Stage:
    width, height = HEADLESS_SIZE
    reach_px = ScreenSettings().shift_px
    enlarger = Enlarger(bundle.manifest.image, width, height, 0, reach_px)
    still = bundle.replay().images[0]
    padded = np.concatenate([still, np.zeros_like(still[..., :1])], axis=2)
    out = np.empty((height, width, 4), np.uint8)
    return lambda: enlarger.render_into(padded, out, (reach_px, -reach_px))


class _Nothing(Enlarger):
    """Leaves the screen's memory as it is: what remains of showing a picture is the flip."""

    def render_into(self, image: np.ndarray, out: np.ndarray, shift: Shift = UNMOVED) -> None:
        del image, out, shift


def _flip(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    presenter = stack.enter_context(SdlPresenter(Outlet("offscreen")))
    enlarger = _Nothing(bundle.manifest.image, *presenter.size)
    still = bundle.replay().images[0]
    return lambda: presenter.show(still, enlarger, UNMOVED)


def _invert(bundle: Bundle, _folder: Path, _stack: ExitStack) -> Stage:
    player = player_for(bundle)
    quantise = Quantiser(player.chunk, CHANNELS, CEILING_DBFS)
    hop = np.empty(player.chunk, np.float32)
    player.follow(bundle.replay().mels[0])

    def invert() -> object:
        player.fill(hop)
        return quantise(hop)

    return invert


def _write(bundle: Bundle, _folder: Path, stack: ExitStack) -> Stage:
    card = stack.enter_context(AlsaSink("null", bundle.manifest.sound.playback_rate_hz))
    period = np.zeros(card.period, np.float32)
    return lambda: card.write(period)


def _reflection(bundle: Bundle, folder: Path, stack: ExitStack) -> Stage:
    reflector = Reflector(bundle, _mind(bundle, stack))
    publisher = stack.enter_context(Publisher(endpoint(folder)))
    detector, leveller = PresenceDetector(PresenceParameters()), LightLeveller()
    following = _frames(bundle)

    def answer() -> None:
        frame = following()
        detector.see(frame.pixels, frame.taken_ns)
        leveller.level(frame.pixels, frame.taken_ns)
        publisher.publish(reflector.reflect(frame))

    return answer


MAKERS: dict[str, Make] = {
    "camera read": _camera_read,
    "presence": _presence,
    "exposure": _exposure,
    "encode": _encode,
    "associate": _associate,
    "decode sound": _decode_sound,
    "decode picture": _decode_picture,
    "enlarge": _enlarge,
    "flip": _flip,
    "invert": _invert,
    "write": _write,
    "frame to reflection": _reflection,
}


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    with open_bundle(DEMO_BUNDLE) as bundle:
        yield bundle


def test_every_stage_that_one_process_can_do_is_here() -> None:
    assert list(MAKERS) == [stage.name for stage in STAGES if stage.part != "all"]


@pytest.mark.benchmark(group="stages of a frame's way")
@pytest.mark.parametrize("name", MAKERS)
def test_stage(
    benchmark: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    bundle: Bundle,
    tmp_path: Path,
    name: str,
) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(variable, raising=False)
    with ExitStack() as stack:
        stage = MAKERS[name](bundle, tmp_path, stack)
        if rounds := ROUNDS.get(name):
            benchmark.pedantic(stage, rounds=rounds)
        else:
            benchmark(stage)
