"""The manifest: every parameter of picture and sound, stated by training, obeyed by the device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ytm_bundle.errors import BundleError, NewerSchemaError

SCHEMA_VERSION: Literal[2] = 2
"""1: without the optional graph `inverter`, and otherwise the same."""
MAX_MANIFEST_BYTES = 16 << 20
"""Room for the marks of some 300,000 segments."""

GraphName = Literal[
    "image_encoder",
    "image_to_sound",
    "sound_to_image",
    "image_decoder",
    "sound_encoder",
    "sound_decoder",
    "inverter",
]
INVERTER: GraphName = "inverter"
"""The one graph that a bundle may lack: a hop of its streamed sound, for machines with a GPU."""
GRAPH_NAMES: tuple[GraphName, ...] = tuple(name for name in get_args(GraphName) if name != INVERTER)
"""Those that no bundle lacks."""
GRAPH_OUTPUTS: dict[GraphName, str] = {
    "image_encoder": "latent",
    "image_to_sound": "latent",
    "sound_to_image": "latent",
    "image_decoder": "image",
    "sound_encoder": "latent",
    "sound_decoder": "mel",
    "inverter": "hop",
}
PHASORS = "phasors"
"""The state that no two machines agree on: where next to nothing sounds, rounding turns a phase."""
INVERTER_STATE = ("recent", PHASORS, "past")
NEXT = "next_"
"""Before the name of a state, that of the output that takes its place in the next run."""
STREAM_OVERLAP = 4
"""Frames of a stream that cover a sample. With two, no number of iterations removes the beat of the
hop."""

Array = npt.NDArray[np.float32]
Mark = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
PositiveInt = Annotated[int, Field(gt=0, le=1 << 20)]


class Spec(BaseModel):
    """Base of the manifest's parts: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageSpec(Spec):
    """How a picture becomes the encoder's input: uint8 RGB, scaled to [0, 1] as float32."""

    width: Annotated[int, Field(ge=16, le=1024)]
    """Pixels."""
    height: Annotated[int, Field(ge=16, le=1024)]
    """Pixels."""
    fit: Literal["crop", "squeeze"]
    """`crop` keeps proportions and cuts the longer side; `squeeze` keeps everything."""
    filter: Literal["triangle"] = "triangle"
    """Resampling kernel, as wide as the reduction requires (PIL's and GStreamer's bilinear)."""
    colour: Literal["RGB"] = "RGB"
    """Order of the channels; sRGB values as decoded, not linear light."""


class GrainInversion(Spec):
    """Hann grains end to end, each inverted alone by fast Griffin-Lim, as in the artwork."""

    kind: Literal["grains"] = "grains"
    frames: Annotated[int, Field(ge=2, le=256)]
    """Mel frames in a grain; it lasts `(frames - 1) * hop` samples."""
    iterations: Annotated[int, Field(ge=0, le=256)]
    """Griffin-Lim iterations for each grain."""


class StreamInversion(Spec):
    """One unbroken sound: mel frames inverted one by one, each in phase with those before it."""

    kind: Literal["stream"] = "stream"
    look_ahead_frames: Annotated[int, Field(ge=0, le=8)]
    """Frames, a quarter of `n_fft` apart, that are known before one is finished."""
    iterations: Annotated[int, Field(ge=1, le=64)]
    """Griffin-Lim iterations for each of those frames."""
    updates: Annotated[int, Field(ge=0, le=64)]
    """Multiplicative updates of the linear spectrum after the pseudo-inverse."""


Inversion = Annotated[GrainInversion | StreamInversion, Field(discriminator="kind")]


class SoundSpec(Spec):
    """How sound becomes a mel spectrogram, how that is scaled, and how it is heard again."""

    analysis_rate_hz: Annotated[int, Field(ge=8000, le=192000)]
    playback_rate_hz: Annotated[int, Field(ge=8000, le=192000)]
    n_fft: Annotated[int, Field(ge=64, le=16384)]
    """Samples in an analysis window."""
    hop: Annotated[int, Field(ge=16, le=8192)]
    """Samples between frames."""
    n_mels: Annotated[int, Field(ge=8, le=512)]
    frames: Annotated[int, Field(ge=2, le=4096)]
    """Frames that the sound graphs take and give."""
    window: Literal["hann"] = "hann"
    floor_db: Annotated[float, Field(ge=-200, le=200)]
    """Mel power, in dB, that the scaled value 0 stands for; everything below is silence."""
    ceiling_db: Annotated[float, Field(ge=-200, le=200)]
    """Mel power, in dB, that the scaled value 1 stands for."""
    loudness_lufs: Annotated[float, Field(ge=-70, le=0)]
    """Loudness of every training source after normalisation (ITU-R BS.1770)."""
    levelling: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the way to that loudness that every training source was taken."""
    seconds: Annotated[float, Field(gt=0, le=1)] | None = None
    """How much of each second was learned; None: the most that gives so many frames."""
    inversion: Inversion

    @model_validator(mode="after")
    def _check(self) -> SoundSpec:
        if self.ceiling_db <= self.floor_db:
            raise ValueError(
                f"ceiling_db {self.ceiling_db} must be greater than floor_db {self.floor_db}"
            )
        if self.hop > self.n_fft // 2:
            raise ValueError(f"hop {self.hop} must be at most half of n_fft {self.n_fft}")
        self._check_inversion()
        return self

    def _check_inversion(self) -> None:
        if isinstance(self.inversion, StreamInversion):
            if obstacle := self.why_not_streamed():
                raise ValueError(obstacle)
        elif self.inversion.frames > self.frames:
            raise ValueError(
                f"inversion.frames {self.inversion.frames} exceeds the {self.frames} of a mel"
            )

    def why_not_streamed(self) -> str | None:
        """What keeps a `StreamInversion` from playing this sound; None if nothing does."""
        power_of_two = self.n_fft & (self.n_fft - 1) == 0
        if STREAM_OVERLAP * self.hop in (self.n_fft, 2 * self.n_fft) and power_of_two:
            return None
        return (
            f"hop {self.hop} cannot be streamed with n_fft {self.n_fft}; it must be a half or a"
            " quarter of it, and n_fft a power of two"
        )

    def streamed_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes, without batch, of what the graph `inverter` takes and gives; else empty.

        `power`: mel power of the newest frame, >= 0, finite; `hop`: samples. As `state`: `recent`,
        the mel power of the frames that are not finished, the newest last; `phasors`, theirs, real
        and imaginary part, of length 1; `past`, samples that finished frames have begun.
        """
        if not isinstance(self.inversion, StreamInversion):
            return {}
        frames, hop = self.inversion.look_ahead_frames + 1, self.n_fft // STREAM_OVERLAP
        return {
            "power": (self.n_mels,),
            "hop": (hop,),
            "recent": (frames, self.n_mels),
            "phasors": (frames, 2, self.bins),
            "past": (self.n_fft + (frames - 1) * hop,),
        }

    @property
    def bins(self) -> int:
        """Frequency bins of the linear spectrum."""
        return self.n_fft // 2 + 1

    @property
    def mel_shape(self) -> tuple[int, int]:
        """Shape of one mel spectrogram: (n_mels, frames)."""
        return (self.n_mels, self.frames)

    def scale(self, power: npt.NDArray[np.floating[Any]]) -> Array:
        """Mel power, >= 0, any shape -> float32 in [0, 1], logarithmic."""
        decibels = 10 * np.log10(np.maximum(power, 10.0 ** (self.floor_db / 10)))
        scaled = (decibels - self.floor_db) / (self.ceiling_db - self.floor_db)
        return np.asarray(np.clip(scaled, 0, 1), np.float32)

    def unscale(self, scaled: npt.NDArray[np.floating[Any]]) -> Array:
        """Scaled mel in [0, 1] -> mel power, float32. The inverse of `scale`; 0 becomes silence."""
        decibels = self.floor_db + np.clip(scaled, 0, 1) * (self.ceiling_db - self.floor_db)
        power = 10.0 ** (decibels / 10)
        return np.where(scaled > 0, power, 0.0).astype(np.float32)


class TensorSpec(Spec):
    """One input or output of a graph: float32, with a batch axis before `shape`.

    The batch is free; that of the graph `inverter` is 1.
    """

    name: Literal["image", "mel", "latent", "noise", "power", "hop", "recent", "phasors", "past"]
    shape: tuple[PositiveInt, ...]
    """Shape without the batch axis."""


class GraphSpec(Spec):
    """One ONNX graph and how far its float16 body may stray from float32."""

    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    state: tuple[TensorSpec, ...] = ()
    """What a run hands to the next: further inputs, and outputs whose names begin with `NEXT`."""
    tolerance: Annotated[float, Field(gt=0, le=0.1)]
    """Largest allowed relative L2 distance from the expected output on the golden inputs."""


class ReplaySpec(Spec):
    """The order of the stills that are shown when nobody is there."""

    order: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=10000)]
    dwell_s: Annotated[float, Field(ge=0.1, le=3600)]
    """Seconds that each still stays."""


class Source(Spec):
    """Where some of the training material came from."""

    title: str
    licence: str
    origin: str
    segments: Annotated[int, Field(ge=0)]
    """Segments of it in the training set."""


class Manifest(Spec):
    """Everything a device must know about a bundle."""

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    preset: str
    latent_size: Annotated[int, Field(ge=1, le=4096)]
    image: ImageSpec
    sound: SoundSpec
    graphs: dict[GraphName, GraphSpec]
    replay: ReplaySpec
    answer_loudness_lufs: Annotated[float, Field(ge=-70, le=20)] | None = None
    """Loudness of what the mirror answers to the replay's pictures, before any gain (ITU-R BS.1770,
    one channel); None: not known."""
    sudden_change: Annotated[float, Field(gt=0)] | None = None
    """Euclidean distance between the image latents of two pictures taken within a quarter of a
    second from which on the picture is suddenly another; None: it never is."""
    sources: tuple[Source, ...]
    learned: tuple[Mark, ...] = ()
    """Marks of the videos and segments that it learned from or was chosen by; to measure it on one
    of them would flatter it. Empty: not known."""
    quality: dict[str, float] = {}
    """Figures measured when the bundle was made, on segments it was not trained on."""

    @model_validator(mode="after")
    def _check_graphs(self) -> Manifest:
        missing = [name for name in GRAPH_NAMES if name not in self.graphs]
        if missing:
            raise ValueError(f"graphs lacks {', '.join(missing)}")
        for name, graph in self.graphs.items():
            self._check_graph(name, graph)
        return self

    def _check_graph(self, name: GraphName, graph: GraphSpec) -> None:
        for tensor in (*graph.inputs, graph.output, *graph.state):
            if tensor.shape != self.tensor_shape(tensor.name):
                raise ValueError(
                    f"graphs.{name}.{tensor.name} has shape {tensor.shape}; the specs say"
                    f" {self.tensor_shape(tensor.name)}"
                )
        names = {tensor.name for tensor in graph.inputs}
        if names not in _ALLOWED_INPUTS[name] or graph.output.name != GRAPH_OUTPUTS[name]:
            raise ValueError(
                f"graphs.{name} goes from {sorted(names)} to {graph.output.name}, which no device"
                " understands"
            )
        kept = tuple(tensor.name for tensor in graph.state)
        if kept != (INVERTER_STATE if name == INVERTER else ()):
            raise ValueError(f"graphs.{name} keeps {list(kept)}, which no device understands")

    def tensor_shape(self, name: str) -> tuple[int, ...] | None:
        """Shape, without batch, of the tensor called `name` in any graph; None: it has none."""
        shapes: dict[str, tuple[int, ...]] = {
            "image": (3, self.image.height, self.image.width),
            "mel": self.sound.mel_shape,
            "latent": (self.latent_size,),
            "noise": (self.latent_size,),
        }
        return (shapes | self.sound.streamed_shapes()).get(name)


def _associator_inputs(own: str) -> list[set[str]]:
    bases: list[set[str]] = [{"latent"}, {own}, {"latent", own}]
    return bases + [base | {"noise"} for base in bases]


_ALLOWED_INPUTS: dict[GraphName, list[set[str]]] = {
    "image_encoder": [{"image"}],
    "image_to_sound": _associator_inputs("image"),
    "sound_to_image": _associator_inputs("mel"),
    "image_decoder": [{"latent"}],
    "sound_encoder": [{"mel"}],
    "sound_decoder": [{"latent"}],
    "inverter": [{"power"}],
}


def read_manifest(path: Path) -> Manifest:
    """Read and check `manifest.json`.

    Raises:
        NewerSchemaError: it was made by a later version of this project.
        BundleError: it is missing, too large, not JSON, or a key has a wrong value.
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: larger than {MAX_MANIFEST_BYTES} bytes; not a manifest")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not valid JSON ({error}); build the bundle again") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path}: schema_version is {version}, this version of youtube-mirror reads up to"
            f" {SCHEMA_VERSION}; update youtube-mirror or build the bundle with this version"
        )
    try:
        return Manifest.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors()[0])
        key = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise BundleError(
            f"{path}: {key}: {first['msg']} (found {str(first['input'])[:80]!r});"
            " build the bundle again"
        ) from error
