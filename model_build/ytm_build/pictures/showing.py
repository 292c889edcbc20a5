"""What is shown of a bundle, and the files of it: contact sheets, strips and sounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ytm_build.demo import RATE_HZ
from ytm_build.pictures.asking import Answer, Asked
from ytm_build.pictures.sounds import PICTURES_HZ, Voice, write_opus
from ytm_build.pictures.tiles import grid, picture_tile, spectrogram_tile, write_png
from ytm_build.pictures.unseen import Clip, UnseenScene
from ytm_bundle.bundle import Bundle, Replay
from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.demo import HEIGHT, WIDTH
from ytm_device.camera.visitor import draw_visitor
from ytm_training.media import fit_image
from ytm_training.scenes.scene import Scene

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

COLUMNS = 6
"""Pictures side by side in a contact sheet."""
STILL_ROWS = 2
HEARD_STILLS = 6
VISIT_S = (3.0, 15.0)
"""Of the drawn visitor's first visit: standing, waving, coming near, dancing, stepping back."""
HELD_AT_S = 10.2
HELD_FOR_S = 6.0
JUMP_S = 1.2


@dataclass(frozen=True)
class ShownStill:
    """A still of the replay."""

    name: str
    """Of its files."""


@dataclass(frozen=True)
class ShownScene:
    """A drawn scene that the bundle has not learned from."""

    name: str
    """Of its files."""
    scene: Scene
    remembered_db: float
    """Distance of the remembered sound from the true one: root mean square over the mel."""
    answered_db: float
    """Distance of the answer from the true sound."""
    other_db: tuple[float, ...]
    """Distances of the answer from the true sounds of the other scenes."""


class Shower:
    """Writes the files of one bundle, in the folders `pictures` and `sounds`."""

    def __init__(self, bundle: Bundle, asked: Asked, out: Path) -> None:
        """Show what `asked` says of `bundle`, in the folder `out`."""
        self._bundle, self._asked, self._voice = bundle, asked, Voice(bundle)
        self._pictures, self._sounds = out / "pictures", out / "sounds"
        self._sound = bundle.manifest.sound

    def stills(self) -> list[ShownStill]:
        """A sheet of stills above their reconstructions; some of them are also heard."""
        replay = self._bundle.replay()
        across = min(COLUMNS, len(replay.images))
        down = min(STILL_ROWS, len(replay.images) // across)
        chosen = _spread(len(replay.images), across * down)
        bands: list[list[Pixels]] = []
        for start in range(0, len(chosen), across):
            band = chosen[start : start + across]
            bands.append([picture_tile(replay.images[index]) for index in band])
            bands.append([picture_tile(replay.reconstructions[index]) for index in band])
        write_png(self._pictures / "stills.png", grid(bands))
        heard = _spread(len(replay.images), HEARD_STILLS)
        return [self._still(replay, index) for index in heard]

    def _still(self, replay: Replay, index: int) -> ShownStill:
        name = f"still-{index:02d}"
        answer = self._asked.answer(replay.images[index])
        self._strip(name, replay.images[index], answer, remembered=replay.mels[index])
        self._write(f"{name}-remembered", self._voice.remembered(replay.mels[index]))
        self._write(f"{name}-answer", self._voice.answered(answer.mel))
        return ShownStill(name)

    def scenes(self, unseen: Sequence[UnseenScene]) -> list[ShownScene]:
        """A sheet of scenes, what they sound like and what the bundle makes of both."""
        answers = [self._asked.answer(each.picture) for each in unseen]
        write_png(
            self._pictures / "scenes.png",
            grid(
                [
                    [picture_tile(each.picture) for each in unseen],
                    [picture_tile(answer.picture) for answer in answers],
                    [spectrogram_tile(each.mel) for each in unseen],
                    [spectrogram_tile(answer.mel) for answer in answers],
                    [picture_tile(self._asked.imagine(each.mel)) for each in unseen],
                ]
            ),
        )
        return [self._scene(index, unseen, answers[index]) for index in range(len(unseen))]

    def _scene(self, index: int, unseen: Sequence[UnseenScene], answer: Answer) -> ShownScene:
        own = unseen[index]
        name = f"scene-{own.scene.category}"
        remembered = self._asked.remember(own.mel)
        self._strip(name, own.picture, answer, true=own.mel, remembered=remembered)
        write_opus(self._sounds / f"{name}-true.ogg", self._voice.own(own.samples), RATE_HZ)
        self._write(f"{name}-remembered", self._voice.remembered(remembered))
        self._write(f"{name}-answer", self._voice.answered(answer.mel))
        others = [each.mel for each in unseen if each is not own]
        return ShownScene(
            name=name,
            scene=own.scene,
            remembered_db=self._distance_db(remembered, own.mel),
            answered_db=self._distance_db(answer.mel, own.mel),
            other_db=tuple(self._distance_db(answer.mel, other) for other in others),
        )

    def visit(self) -> None:
        """The drawn visitor: a sheet of moments, and the sound of all that lies between them."""
        image = self._bundle.manifest.image
        start_s, end_s = VISIT_S
        moments = [visitor(t_s, image) for t_s in np.linspace(start_s, end_s, COLUMNS)]
        self._sheet("visitor", moments)
        count = round((end_s - start_s) * PICTURES_HZ)
        film = (visitor(start_s + index / PICTURES_HZ, image) for index in range(count))
        self._write("visitor", self._voice.live(film))

    def held(self) -> None:
        """The sound before a visitor who stands still."""
        still = visitor(HELD_AT_S, self._bundle.manifest.image)
        self._write("held", self._voice.live(repeat(still, round(HELD_FOR_S * PICTURES_HZ))))

    def jumps(self, unseen: Sequence[UnseenScene]) -> None:
        """The sound of one scene after another, without warning."""
        self._write("jumps", self._voice.live(_each_for(unseen, round(JUMP_S * PICTURES_HZ))))

    def clips(self, clips: Sequence[Clip]) -> None:
        """A sheet of pictures from open videos."""
        self._sheet("clips", [clip.picture for clip in clips])

    def _sheet(self, name: str, pictures: Sequence[Pixels]) -> None:
        """Pictures, below each the mirror's picture, and below that its sound."""
        answers = [self._asked.answer(pixels) for pixels in pictures]
        rows = [
            [picture_tile(pixels) for pixels in pictures],
            [picture_tile(answer.picture) for answer in answers],
            [spectrogram_tile(answer.mel) for answer in answers],
        ]
        write_png(self._pictures / f"{name}.png", grid(rows))

    def _strip(self, name: str, pixels: Pixels, answer: Answer, **mels: Array) -> None:
        """A picture, the mirror's, and spectrograms, the answer's last."""
        shown = [picture_tile(pixels), picture_tile(answer.picture)]
        shown += [spectrogram_tile(mel) for mel in (*mels.values(), answer.mel)]
        write_png(self._pictures / "listen" / f"{name}.png", grid([shown]))

    def _write(self, name: str, samples: Array) -> None:
        write_opus(self._sounds / f"{name}.ogg", samples, self._voice.rate_hz)

    def _distance_db(self, found: Array, true: Array) -> float:
        range_db = self._sound.ceiling_db - self._sound.floor_db
        return range_db * float(np.sqrt(np.mean((found - true) ** 2)))


def visitor(t_s: float, image: ImageSpec) -> Pixels:
    """The drawn visitor at a moment, as the encoder sees it."""
    return fit_image(draw_visitor(t_s, WIDTH, HEIGHT), image)


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` numbers below `count`, evenly apart."""
    return [int(index) for index in np.linspace(0, count - 1, min(most, count))]


def _each_for(unseen: Sequence[UnseenScene], pictures: int) -> Iterator[Pixels]:
    for each in unseen:
        yield from repeat(each.picture, pictures)
