"""Spoken and written digits as a dataset: a picture and a sound share their digit, nothing else.

Sounds: Free Spoken Digit Dataset (Jackson 2016), 8 kHz. Pictures: the test set of MNIST (LeCun et
al. 1998). Takes 5 to 49 of each speaker and the first 8,000 pictures teach; takes 0 to 4 and the
last 2,000 are only ever measured. A take of all digits and speakers counts as one source.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from ytm_bundle.errors import DatasetError
from ytm_training.dataset import Outcome, Settings, write_shard
from ytm_training.segment import Segment
from ytm_training.splitting import Split, store_split

SOUNDS, PICTURES, LABELS = (
    "fsdd_recordings.zip",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SIZE = 32
TEST_TAKES = 5
TAUGHT_PICTURES = 8000
_RATE_HZ = 8000
_LEVEL = 0.1
_VALIDATION_TAKES = (5, 6, 7)
_PICTURE_HEADER, _LABEL_HEADER = 16, 8
_FAILURES = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    zipfile.BadZipFile,
    soundfile.SoundFileError,
)

Pictures = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]
Takes = dict[tuple[int, int], list[Samples]]
"""Recordings by digit and take, of all speakers."""


def write_pairs(data: Path, out: Path, seed: int) -> int:
    """Write the dataset of pairs to `out`, with its split.

    Args:
        data: the folder with the three files `SOUNDS`, `PICTURES` and `LABELS`.
        out: the dataset's folder.
        seed: of who goes with whom.

    Returns:
        How many pairs there are.

    Raises:
        DatasetError: a file is missing or is not what its name says.
    """
    takes, (pictures, labels) = read_takes(data / SOUNDS), read_pictures(data)
    segments = list(_pairs(takes, pictures, labels, np.random.default_rng(seed)))
    numbers = sorted({take for _, take in takes})
    outcomes = [Outcome(_source(number), 0, None) for number in numbers]
    write_shard(out, Settings(1, seed, _RATE_HZ), segments, outcomes)
    taught = [number for number in numbers if number >= TEST_TAKES]
    store_split(
        out,
        Split(
            train=tuple(_source(n) for n in taught if n not in _VALIDATION_TAKES),
            validation=tuple(_source(n) for n in taught if n in _VALIDATION_TAKES),
            test=tuple(_source(n) for n in numbers if n < TEST_TAKES),
        ),
    )
    return len(segments)


def _source(take: int) -> str:
    return f"take-{take:02d}"


def _pairs(
    takes: Takes, pictures: Pictures, labels: npt.NDArray[np.uint8], random: np.random.Generator
) -> Iterator[Segment]:
    numbers = np.array(sorted({take for _, take in takes}))
    chosen = np.where(
        np.arange(len(labels)) < TAUGHT_PICTURES,
        random.choice(numbers[numbers >= TEST_TAKES], len(labels)),
        random.choice(numbers[numbers < TEST_TAKES], len(labels)),
    )
    for index in np.argsort(chosen, kind="stable"):
        digit, take = int(labels[index]), int(chosen[index])
        recordings = takes[digit, take]
        yield Segment(
            segment_id=f"{_source(take)}@{index}",
            source=_source(take),
            start_s=0.0,
            onset_s=0.0,
            image=np.repeat(pictures[index][:, :, None], 3, axis=2),
            sound=recordings[random.integers(len(recordings))],
            rate_hz=_RATE_HZ,
            category=str(digit),
            title="Free Spoken Digit Dataset and MNIST",
            licence="CC BY-SA 4.0 and CC BY-SA 3.0",
            origin="spoken and written digits",
        )


def read_takes(path: Path) -> Takes:
    """Recordings of the Free Spoken Digit Dataset: (8000,) each, one second at one level.

    Raises:
        DatasetError: the file is missing, damaged or holds something else.
    """
    takes: Takes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".wav") and not Path(name).name.startswith("."):
                    digit, _, take = Path(name).stem.split("_")
                    samples = _second(archive.read(name))
                    takes.setdefault((int(digit), int(take)), []).append(samples)
    except _FAILURES as error:
        raise _unreadable(path, error) from error
    if {digit for digit, _ in takes} != set(range(10)):
        raise _unreadable(path, "it does not hold ten digits")
    return takes


def _second(wav: bytes) -> Samples:
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    if rate_hz != _RATE_HZ or samples.ndim != 1 or not len(samples):
        raise ValueError(f"a recording is not mono at {_RATE_HZ} Hz")
    level = max(float(np.sqrt(np.mean(samples**2))), 1e-6)
    second = np.zeros(_RATE_HZ, np.float32)
    second[: len(samples)] = samples[:_RATE_HZ] * (_LEVEL / level)
    return second


def read_pictures(data: Path) -> tuple[Pictures, npt.NDArray[np.uint8]]:
    """MNIST's test pictures with a margin, (10000, 32, 32), and what digit each shows, (10000,).

    Raises:
        DatasetError: a file is missing, damaged or holds something else.
    """
    shape = (10000, 28, 28)
    pictures = _idx(data / PICTURES, _PICTURE_HEADER, int(np.prod(shape))).reshape(shape)
    labels = _idx(data / LABELS, _LABEL_HEADER, shape[0])
    margin = (SIZE - shape[1]) // 2
    return np.pad(pictures, ((0, 0), (margin, margin), (margin, margin))), labels


def _idx(path: Path, header: int, count: int) -> npt.NDArray[np.uint8]:
    try:
        with gzip.open(path) as file:
            content = np.frombuffer(file.read(header + count + 1), np.uint8)[header:]
    except _FAILURES as error:
        raise _unreadable(path, error) from error
    if len(content) != count:
        raise _unreadable(path, f"it holds {len(content)} bytes, not {count}")
    return content


def _unreadable(path: Path, error: object) -> DatasetError:
    return DatasetError(
        f"{path}: cannot be read ({error}); give the folder with {SOUNDS} (Free Spoken Digit"
        f" Dataset), {PICTURES} and {LABELS} (MNIST)"
    )
