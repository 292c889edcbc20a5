from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from ytm_bundle.errors import DatasetError
from ytm_training.dataset import Outcome, Settings, read_dataset, write_shard
from ytm_training.segment import Segment

RATE_HZ = 8000
SETTINGS = Settings(per_video=2, seed=7, rate_hz=RATE_HZ, only=("rights=A",))


def segment(number: int, source: str = "a.mp4", **facts: str) -> Segment:
    rng = np.random.default_rng(number)
    return Segment(
        segment_id=f"{source}@{number}.000",
        source=source,
        start_s=float(number),
        onset_s=0.25,
        image=rng.integers(0, 255, (30, 40, 3), np.uint8),
        sound=rng.uniform(-1, 1, RATE_HZ).astype(np.float32),
        rate_hz=RATE_HZ,
        **facts,  # type: ignore[arg-type]
    )


def one_row(path: Path) -> Path:
    write_shard(path, SETTINGS, [segment(0)], [Outcome("a.mp4", 1, None)])
    return path


def test_what_is_written_is_read(tmp_path) -> None:
    written = [segment(n, licence="CC0", category="speech") for n in range(40)]
    write_shard(tmp_path, SETTINGS, written[:25], [Outcome("a.mp4", 25, None, "note", 9, 8)])
    write_shard(tmp_path, SETTINGS, written[25:], [Outcome("b.mp4", 0, "silent")])
    dataset = read_dataset(tmp_path)
    assert len(dataset) == 40
    assert dataset.settings() == SETTINGS
    assert dataset.outcomes() == {
        "a.mp4": Outcome("a.mp4", 25, None, "note", 9, 8),
        "b.mp4": Outcome("b.mp4", 0, "silent"),
    }
    for before, after in zip(written, dataset.segments(), strict=True):
        assert vars(after) == {**vars(before), "image": after.image, "sound": after.sound}
        np.testing.assert_array_equal(after.image, before.image)
        np.testing.assert_allclose(after.sound, before.sound, atol=0.5001 / 32767)


def test_a_stranger_reads_it_with_pandas_by_what_the_file_says(tmp_path) -> None:
    path = one_row(tmp_path / "dataset")
    (shard,) = (path / "shards").iterdir()
    row = pd.read_parquet(path / "shards").iloc[0]
    about = pq.read_schema(shard).metadata[b"ytm.about"].decode()
    assert "numpy.asarray(row.sound) / 32767" in about
    sound = np.asarray(row.sound) / 32767
    np.testing.assert_allclose(sound, segment(0).sound, atol=1e-4)
    with Image.open(io.BytesIO(row.image)) as image:
        np.testing.assert_array_equal(np.asarray(image), segment(0).image)
    assert row.rate_hz == RATE_HZ
    assert all(field.metadata[b"about"] for field in pq.read_schema(shard))


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, 16, elements=st.floats(-4, 4, width=32)))
def test_samples_beyond_full_scale_are_clipped_and_others_kept(tmp_path_factory, samples) -> None:
    path = tmp_path_factory.mktemp("clip")
    loud = Segment("a@0", "a", 0.0, 0.5, np.zeros((2, 2, 3), np.uint8), samples, 16)
    write_shard(path, SETTINGS, [loud], [])
    (read,) = read_dataset(path).segments()
    np.testing.assert_allclose(read.sound, np.clip(samples, -1, 1), atol=0.5001 / 32767)


def test_a_dataset_of_one_row_can_be_read(tmp_path) -> None:
    dataset = read_dataset(one_row(tmp_path))
    assert len(dataset) == len(list(dataset.segments())) == 1


def test_missing_or_empty_is_refused(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.*not a dataset.*ytm-collect"):
        read_dataset(tmp_path / "nowhere")
    write_shard(tmp_path, SETTINGS, [], [Outcome("a.mp4", 0, "silent")])
    with pytest.raises(DatasetError, match="no rows"):
        read_dataset(tmp_path)


def test_foreign_columns_are_refused_and_named(tmp_path) -> None:
    (tmp_path / "shards").mkdir()
    pq.write_table(pa.table({"label": [1]}), tmp_path / "shards" / "000000.parquet")
    with pytest.raises(DatasetError, match=r"too many: \['label'\].*missing.*'sound'"):
        read_dataset(tmp_path)


def test_another_format_is_refused(tmp_path) -> None:
    (shard,) = (one_row(tmp_path) / "shards").iterdir()
    table = pq.read_table(shard)
    metadata = {**table.schema.metadata, b"ytm.format": b"2"}
    pq.write_table(table.replace_schema_metadata(metadata), shard)
    with pytest.raises(DatasetError, match=r"ytm.format is '2'"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_cut_shard_is_refused_and_named(share, tmp_path) -> None:
    (shard,) = (one_row(tmp_path) / "shards").iterdir()
    data = shard.read_bytes()
    shard.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DatasetError, match=r"000000.parquet: damaged.*delete it"):
        read_dataset(tmp_path)


def test_damaged_rows_are_refused(tmp_path) -> None:
    (shard,) = (one_row(tmp_path) / "shards").iterdir()
    data = bytearray(shard.read_bytes())
    data[200:1200] = bytes(1000)
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match=r"000000.parquet: damaged"):
        list(read_dataset(tmp_path).segments())


def test_half_written_files_are_not_part_of_it(tmp_path) -> None:
    one_row(tmp_path)
    (tmp_path / "shards" / ".000001.77.partial.parquet").write_bytes(b"PAR1 half")
    (tmp_path / "shards" / "copy.parquet").write_bytes(b"PAR1 half")
    assert len(read_dataset(tmp_path)) == 1


def test_the_record_of_files_is_plain_json(tmp_path) -> None:
    (shard,) = (one_row(tmp_path) / "shards").iterdir()
    files = json.loads(pq.read_schema(shard).metadata[b"ytm.files"])
    assert files[0]["file"] == "a.mp4"
    assert files[0]["kept"] == 1
