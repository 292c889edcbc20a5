"""A dataset on disk: Parquet shards, a row a segment, readable by anybody with pandas.

Sound is a list of 16-bit integers: `pandas.read_parquet` gives it as a numpy array, with no decoder
and at half the size of floats, and its noise (-98 dBFS) lies below that of any compressed video.
Each shard also carries, in its file's metadata, the settings that it was collected with and what
became of every file looked at, so that the rows and the record of them are written in one step.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ytm_bundle.errors import DatasetError
from ytm_bundle.files import replacing
from ytm_training.segment import Segment

SHARDS_NAME = "shards"
_FORMAT = "1"
_PCM_SCALE = 32767
_BATCH_ROWS = 16
_PNG_LEVEL = 4
"""2 % larger than the default of 6, and written in less than half the time."""
_ABOUT = (
    "One second of a video a row. image: PNG, e.g. PIL.Image.open(io.BytesIO(row.image));"
    " sound: mono PCM, e.g. numpy.asarray(row.sound) / 32767 at row.rate_hz samples a second;"
    " the picture belongs to the moment start_s + onset_s of the video."
)


def _field(name: str, kind: pa.DataType, about: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"about": about})


SCHEMA = pa.schema(
    [
        _field("segment_id", pa.string(), "unique: source@start_s"),
        _field("source", pa.string(), "path of the video inside the folder collected from"),
        _field("start_s", pa.float64(), "seconds from the start of the video"),
        _field("onset_s", pa.float64(), "seconds from start_s to the strongest onset, 0 to 1"),
        _field("category", pa.string(), "from the sidecar table", nullable=True),
        _field("image", pa.binary(), "PNG, RGB 8 bit, upright, square pixels"),
        _field("sound", pa.list_(pa.int16()), "mono PCM, one second, 32767 is full scale"),
        _field("rate_hz", pa.int32(), "samples a second of sound"),
        _field("title", pa.string(), "from the sidecar table", nullable=True),
        _field("licence", pa.string(), "from the sidecar table", nullable=True),
        _field("origin", pa.string(), "where the video came from", nullable=True),
        _field("rights", pa.string(), "class of rights, from the sidecar table", nullable=True),
    ]
)


@dataclass(frozen=True)
class Settings:
    """What a dataset is collected with; it cannot be continued with others."""

    per_video: int
    seed: int
    rate_hz: int
    only: tuple[str, ...] = ()
    """Conditions `COLUMN=VALUE` on the sidecar table."""

    def described(self) -> str:
        """The settings as the flags of ytm-collect."""
        flags = f"--per-video {self.per_video} --seed {self.seed} --rate {self.rate_hz}"
        return " ".join([flags, *(f"--only {condition}" for condition in self.only)])


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    file: str
    kept: int
    """Segments kept of it."""
    reason: str | None
    """Why it was skipped, in few words; None if anything was kept."""
    note: str = ""
    """What else there is to say, in one line."""
    size_bytes: int = 0
    modified_ns: int = 0


class Dataset:
    """A dataset opened for reading; holds one batch of rows at a time."""

    def __init__(
        self, path: Path, shards: Sequence[pq.FileMetaData], paths: Sequence[Path]
    ) -> None:
        self.path = path
        self._shards, self._paths = shards, paths

    def __len__(self) -> int:
        """Rows."""
        return sum(shard.num_rows for shard in self._shards)

    def settings(self) -> Settings:
        """What it was collected with."""
        return _settings(self._paths[0], self._shards[0])

    def outcomes(self) -> dict[str, Outcome]:
        """What became of every file, by its name; the newest word on each."""
        outcomes = {}
        for path, shard in zip(self._paths, self._shards, strict=True):
            for fields in _stated(path, shard, "files"):
                outcome = Outcome(**fields)
                outcomes[outcome.file] = outcome
        return outcomes

    def segments(self) -> Iterator[Segment]:
        """Every segment, those of one video together, in the order in which they were collected.

        Raises:
            DatasetError: a shard is damaged.
        """
        for path in self._paths:
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(_BATCH_ROWS):
                        yield from _segments(batch)
            except (OSError, pa.ArrowException, ValueError) as error:
                raise DatasetError(
                    f"{path}: damaged ({error}); delete it and run ytm-collect again"
                ) from error


def _segments(batch: pa.RecordBatch) -> Iterator[Segment]:
    sounds = batch.column("sound")
    for row, sound in zip(batch.drop_columns(["sound"]).to_pylist(), sounds, strict=True):
        with Image.open(io.BytesIO(row["image"])) as image:
            pixels = np.asarray(image.convert("RGB"), np.uint8)
        samples = sound.values.to_numpy().astype(np.float32) / _PCM_SCALE
        yield Segment(**{**row, "sound": samples, "image": pixels})


def shard_paths(path: Path) -> list[Path]:
    """The shards of the dataset at `path`, in the order in which they were written."""
    folder = path / SHARDS_NAME
    return sorted(shard for shard in folder.glob("*.parquet") if shard.stem.isdigit())


def read_dataset(path: Path) -> Dataset:
    """Open the dataset at `path`.

    Raises:
        DatasetError: it is missing, has no rows, or has other columns than a dataset has.
    """
    paths = shard_paths(path)
    if not paths:
        raise DatasetError(f"{path}: not a dataset (no {SHARDS_NAME}/*.parquet); run ytm-collect")
    dataset = Dataset(path, [_opened(shard) for shard in paths], paths)
    if len(dataset) == 0:
        raise DatasetError(f"{path}: has no rows; run ytm-collect on other videos")
    return dataset


def _opened(path: Path) -> pq.FileMetaData:
    try:
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(
            f"{path}: damaged ({error}); delete it and run ytm-collect again"
        ) from error
    if not schema.equals(SCHEMA):
        found, wanted = set(schema.names), set(SCHEMA.names)
        raise DatasetError(
            f"{path}: has other columns than a dataset of ytm-collect (too many:"
            f" {sorted(found - wanted)}, missing: {sorted(wanted - found)}, or other types);"
            " collect again"
        )
    _settings(path, metadata)
    return metadata


def _settings(path: Path, metadata: pq.FileMetaData) -> Settings:
    fields = _stated(path, metadata, "settings")
    return Settings(**{**fields, "only": tuple(fields["only"])})


def _stated(path: Path, metadata: pq.FileMetaData, key: str) -> Any:
    stated = (metadata.metadata or {}).get(f"ytm.{key}".encode())
    form = (metadata.metadata or {}).get(b"ytm.format", b"").decode()
    if form != _FORMAT or stated is None:
        raise DatasetError(
            f"{path}: its ytm.format is {form!r}, this version reads {_FORMAT!r}; collect again"
        )
    return json.loads(stated)


def write_shard(
    path: Path, settings: Settings, segments: Sequence[Segment], outcomes: Sequence[Outcome]
) -> Path:
    """Add a shard to the dataset at `path`, whole or not at all.

    Args:
        path: the dataset's folder, made if need be.
        settings: what the segments were collected with.
        segments: the rows, those of one video together.
        outcomes: what became of the files that they come from, and of files that gave none.

    Returns:
        The shard written.

    Raises:
        DatasetError: it cannot be written.
    """
    return _added(path, _table(settings, segments, outcomes))


def encode_shard(
    settings: Settings, segments: Sequence[Segment], outcomes: Sequence[Outcome]
) -> bytes:
    """A shard as the bytes of its file, for `join_shards`; the arguments are `write_shard`'s."""
    buffer = io.BytesIO()
    pq.write_table(_table(settings, segments, outcomes), buffer, compression="zstd")
    return buffer.getvalue()


def read_note(path: Path) -> tuple[Settings, list[Outcome]]:
    """What a shard was collected with, and what became of the files that it tells of.

    Raises:
        DatasetError: it is damaged.
    """
    metadata = _opened(path)
    outcomes = [Outcome(**fields) for fields in _stated(path, metadata, "files")]
    return _settings(path, metadata), outcomes


def join_shards(path: Path, parts: Sequence[Path]) -> Path:
    """Add one shard to the dataset at `path` that holds what `parts` hold, whole or not at all.

    Raises:
        DatasetError: a part is damaged, or the shard cannot be written.
    """
    stated: list[dict[str, Any]] = []
    tables = []
    for part in parts:
        stated += _stated(part, _opened(part), "files")
        tables.append(pq.read_table(part))
    table = pa.concat_tables([each.replace_schema_metadata(None) for each in tables])
    metadata = {**tables[0].schema.metadata, b"ytm.files": json.dumps(stated).encode()}
    return _added(path, table.cast(SCHEMA).replace_schema_metadata(metadata))


def _table(
    settings: Settings, segments: Sequence[Segment], outcomes: Sequence[Outcome]
) -> pa.Table:
    stated = {
        "ytm.format": _FORMAT,
        "ytm.about": _ABOUT,
        "ytm.settings": json.dumps(asdict(settings)),
        "ytm.files": json.dumps([asdict(outcome) for outcome in outcomes]),
    }
    table = pa.Table.from_pylist([_row(segment) for segment in segments], SCHEMA)
    return table.replace_schema_metadata(stated)


def _added(path: Path, table: pa.Table) -> Path:
    taken = shard_paths(path)
    number = int(taken[-1].stem) + 1 if taken else 0
    shard = path / SHARDS_NAME / f"{number:06d}.parquet"
    try:
        with replacing(shard) as temporary:
            pq.write_table(table, temporary, compression="zstd")
    except OSError as error:
        raise DatasetError(f"{shard}: cannot be written ({error}); make room, run again") from error
    return shard


def _row(segment: Segment) -> dict[str, Any]:
    png = io.BytesIO()
    Image.fromarray(segment.image).save(png, "PNG", compress_level=_PNG_LEVEL)
    return {**vars(segment), "image": png.getvalue(), "sound": pcm(segment.sound)}


def pcm(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Sound, 1.0 at full scale, as a dataset keeps it: any shape, clipped and rounded."""
    return np.round(np.clip(sound, -1, 1) * _PCM_SCALE).astype(np.int16)
