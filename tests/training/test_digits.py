"""Digits as pairs that share nothing but their digit, and the table made of two reports."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ytm_bundle.errors import DatasetError
from ytm_training.dataset import read_dataset
from ytm_training.digits import pairs
from ytm_training.digits.comparison import ROWS, as_json, by_key
from ytm_training.digits.recipe import continuous_recipe, paper_recipe
from ytm_training.evaluation.figure import Estimate, Figure
from ytm_training.splitting import stored_split

SPEAKERS, TAKES = 2, 12


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Files like the real ones: the length of a recording and the corner of a picture name it."""
    folder = tmp_path_factory.mktemp("digits")
    with zipfile.ZipFile(folder / pairs.SOUNDS, "w") as archive:
        for digit in range(10):
            for speaker in range(SPEAKERS):
                for take in range(TAKES):
                    wav = io.BytesIO()
                    samples = np.full(100 + 10 * digit + speaker, 0.01 * (take + 1))
                    soundfile.write(wav, samples, 8000, format="WAV", subtype="PCM_16")
                    archive.writestr(f"recordings/{digit}_s{speaker}_{take}.wav", wav.getvalue())
    labels = (np.arange(10000) % 10).astype(np.uint8)
    pictures = np.zeros((10000, 28, 28), np.uint8)
    pictures[:, 0, 0], pictures[:, 0, 1] = np.divmod(np.arange(10000), 256)
    _write_idx(folder / pairs.PICTURES, 16, pictures)
    _write_idx(folder / pairs.LABELS, 8, labels)
    return folder


def _write_idx(path: Path, header: int, content: np.ndarray) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes(header) + content.tobytes())


@pytest.fixture(scope="module")
def dataset(data):
    assert pairs.write_pairs(data, data / "dataset", 0) == 10000
    return data / "dataset"


def _index(segment) -> int:
    high, low = segment.image[2, 2:4, 0]
    return int(high) * 256 + int(low)


def test_a_pair_shares_its_digit_and_nothing_leaks(dataset):
    split = stored_split(dataset, {f"take-{take:02d}" for take in range(TAKES)})
    assert split.test == tuple(f"take-{take:02d}" for take in range(5))
    assert split.validation == ("take-05", "take-06", "take-07")
    seen = set()
    for segment in read_dataset(dataset).segments():
        index, digit = _index(segment), int(segment.category)
        assert digit == index % 10
        assert np.flatnonzero(segment.sound)[-1] in {99 + 10 * digit + s for s in range(SPEAKERS)}
        assert (index >= 8000) == (segment.source in split.test)
        seen.add(index)
    assert len(seen) == 10000


def test_recordings_come_to_one_level(dataset):
    levels = [
        np.sqrt(np.mean(segment.sound[segment.sound != 0] ** 2))
        for segment, _ in zip(read_dataset(dataset).segments(), range(50), strict=False)
    ]
    assert levels == pytest.approx(np.full(50, 0.1), rel=1e-3)


@pytest.mark.parametrize("name", [pairs.SOUNDS, pairs.PICTURES, pairs.LABELS])
@pytest.mark.parametrize("content", [None, b"", b"no archive", "cut"])
def test_a_bad_file_is_named(data, tmp_path, name, content):
    for other in (pairs.SOUNDS, pairs.PICTURES, pairs.LABELS):
        (tmp_path / other).symlink_to(data / other)
    (tmp_path / name).unlink()
    if content == "cut":
        content = (data / name).read_bytes()[:-2000]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=name):
        pairs.write_pairs(tmp_path, tmp_path / "dataset", 0)
    assert not (tmp_path / "dataset").exists()


def test_both_mirrors_differ_in_their_associators_alone():
    ours, paper = continuous_recipe(3).model_dump(), paper_recipe(3).model_dump()
    assert {key for key in ours if ours[key] != paper[key]} == {"preset", "associator"}
    assert ours["associator"]["labels"] == "none"


def test_the_table_says_what_was_missed():
    def figures(value: float) -> dict[str, Figure]:
        return by_key(
            [
                Figure(
                    row.key, "", "", "share", Estimate(value), 9,
                    {"real": Estimate(value), "rebuilt": Estimate(value)},
                )
                for row in ROWS
            ]
        )  # fmt: skip

    rows = as_json(figures(0.955), figures(0.01))
    assert [row["reached"] for row in rows] == [True, True, True, True, False, True]
    assert [row["paper"] for row in rows] == [0.01] * 6
    assert not as_json(figures(0.01), figures(0.9))[0]["reached"]
