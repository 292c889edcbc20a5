"""Every choice that shapes a training run, and the two presets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ytm_bundle.errors import UsageError
from ytm_bundle.manifest import Inversion
from ytm_device.sound.modes import GRAINS, STREAM
from ytm_training.models.associator import AssociatorShape
from ytm_training.models.flow import FlowShape
from ytm_training.models.vae import VaeShape

MIN_S, MAX_S = 0.05, 1.0
"""How much of a second can be learned."""


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimisation(Settings):
    """How one network is fitted."""

    optimiser: Literal["rmsprop", "adamw"]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["constant", "cosine"]
    """`cosine` falls to a hundredth of the learning rate over `max_epochs`."""
    kl_weight: Annotated[float, Field(ge=0)]
    """Weight of the divergence (nats, mean over the latent's dimensions and the batch) beside the
    squared error (mean over all elements)."""
    texture_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the distance in local roughness beside the squared error; 0: a blur is as good."""
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    max_epochs: Annotated[int, Field(ge=1, le=100_000)]
    patience: Annotated[int, Field(ge=1)]
    """Epochs without a better loss before training stops."""
    judge: Literal["validation", "train"] = "validation"
    """Whose loss says which weights are best. On videos never seen, the squared error of an
    associator is least when it gives the same average to every picture; judged by `train`, its
    answers differ."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.01
    """Of `adamw`: how fast weights that nothing asks for go to zero."""
    augmentation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Strength of random changes to the input; 0: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the layers' sums; `bfloat16` (weights stay float32) learns in half the time where the
    machine computes in it, on most GPUs since 2020 and a few CPUs, and in ten times as long
    elsewhere."""


class VaeSettings(Settings):
    """One VAE: its network and its fitting."""

    widths: tuple[int, ...]
    strides: tuple[tuple[int, int], ...]
    neck: Annotated[int, Field(ge=1)]
    linear_pool: tuple[int, int] | None
    fit: Optimisation

    def shape(self, size: tuple[int, int, int], latent_size: int) -> VaeShape:
        """The network's shape for an input of `size` (channels, height, width)."""
        return VaeShape(size, self.widths, self.strides, self.neck, latent_size, self.linear_pool)


class VariationalSettings(Settings):
    """The artwork's associators: small VAEs between the latents, with one answer to a picture."""

    kind: Literal["variational"] = "variational"
    hidden: Annotated[int, Field(ge=1)]
    layers: Annotated[int, Field(ge=1, le=16)]
    fit: Optimisation

    def shape(self, latent_size: int) -> AssociatorShape:
        """The network's shape."""
        return AssociatorShape(latent_size, self.hidden, self.layers)


class FlowSettings(Settings):
    """Associators by flows over a bridge, with as many answers as there are noises."""

    kind: Literal["flow"] = "flow"
    hidden: Annotated[int, Field(ge=1)]
    layers: Annotated[int, Field(ge=1, le=16)]
    embedding_size: Annotated[int, Field(ge=2, le=4096)]
    """Dimensions of the bridge."""
    labels: Literal["none", "category", "clusters"]
    """What besides its partner a picture is drawn to on the bridge: sounds of its category (where
    the dataset names one), or of its cluster, found by the machine."""
    label_share: Annotated[float, Field(ge=0, le=1)]
    """How much of the pull the label has."""
    blur: Annotated[float, Field(ge=0, le=4)]
    """Deviation of what is added to points of the bridge, of deviation 1, when a flow learns: so
    that it learns of a neighbourhood, and not each point by heart."""
    guidance: Annotated[float, Field(ge=0, le=20)]
    """How much farther than learned an answer is drawn to what was seen or heard."""
    temperature: Annotated[float, Field(ge=0, le=2)]
    """Deviation of the noise that answers are made from; 0: one answer to a picture."""
    steps: Annotated[int, Field(ge=1, le=64)]
    """Steps of the flow that the pupil learns to take in one."""
    bridge: Optimisation
    flow: Optimisation
    fit: Optimisation
    """Of the pupil."""

    def shape(self, latent_size: int) -> FlowShape:
        """The networks' shape."""
        return FlowShape(
            latent_size, self.embedding_size, self.hidden, self.layers, self.temperature
        )


AssociatorSettings = Annotated[VariationalSettings | FlowSettings, Field(discriminator="kind")]


class PictureSettings(Settings):
    """What a training picture is."""

    size: Annotated[int, Field(ge=32, le=512)]
    """Width and height, pixels."""
    fit: Literal["crop", "squeeze"]
    flips: bool = True
    """Whether a picture and its mirror image mean the same."""


class SoundSettings(Settings):
    """What a training sound is; the scale in dB follows from the dataset."""

    analysis_rate_hz: int
    playback_rate_hz: int
    n_fft: int
    hop: int
    n_mels: int
    seconds: Annotated[float, Field(ge=MIN_S, le=MAX_S)]
    """How much of the second is learned; less than all of it is centred on the onset."""
    loudness_lufs: float
    """Loudness that every source is brought to."""
    levelling: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the way there that is gone; less than 1 leaves quiet sources a little quieter."""
    range_db: Annotated[float, Field(gt=10, le=120)]
    """From the loudest mel of the training set down to silence."""
    inversion: Inversion

    @property
    def samples(self) -> int:
        """Samples that are learned, at the analysis rate."""
        return round(self.seconds * self.analysis_rate_hz)

    @property
    def frames(self) -> int:
        """Mel frames of `samples`, the first and the last centred on its ends."""
        return 1 + self.samples // self.hop


class RunConfig(Settings):
    """A whole run. Stored in the run's folder; a resumed run must be given the same."""

    preset: str
    seed: int
    latent_size: Annotated[int, Field(ge=2, le=4096)]
    picture: PictureSettings
    sound: SoundSettings
    image_vae: VaeSettings
    sound_vae: VaeSettings
    associator: AssociatorSettings

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        for name in ("image_vae", "sound_vae"):
            vae: VaeSettings = getattr(self, name)
            if len(vae.widths) != len(vae.strides) or len(vae.widths) < 2:
                raise ValueError(f"{name}: widths and strides must be two or more, as many of each")
        return self


_PAPER_VAE_FIT = Optimisation(
    optimiser="rmsprop",
    learning_rate=1e-4,
    schedule="constant",
    kl_weight=1e-4,
    batch_size=16,
    max_epochs=1000,
    patience=8,
)

PAPER = RunConfig(
    preset="paper",
    seed=0,
    latent_size=128,
    picture=PictureSettings(size=112, fit="squeeze"),
    sound=SoundSettings(
        analysis_rate_hz=44100,
        playback_rate_hz=48000,
        n_fft=1024,
        hop=512,
        n_mels=128,
        seconds=0.1,
        loudness_lufs=-23.0,
        range_db=80.0,
        inversion=GRAINS,
    ),
    image_vae=VaeSettings(
        widths=(32, 64, 128, 256),
        strides=((2, 2),) * 4,
        neck=64,
        linear_pool=None,
        fit=_PAPER_VAE_FIT,
    ),
    sound_vae=VaeSettings(
        widths=(32, 64, 128, 256),
        strides=((2, 1), (2, 1), (2, 3), (2, 3)),
        neck=64,
        linear_pool=None,
        fit=_PAPER_VAE_FIT,
    ),
    associator=VariationalSettings(
        hidden=256,
        layers=2,
        fit=_PAPER_VAE_FIT.model_copy(update={"learning_rate": 1e-3, "kl_weight": 1e-3}),
    ),
)

_CONTINUOUS_VAE_FIT = Optimisation(
    optimiser="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    kl_weight=4e-4,
    batch_size=64,
    max_epochs=150,
    patience=40,
    augmentation=1.0,
)


def _associator_fit(max_epochs: int, batch_size: int) -> Optimisation:
    """Fitted to the end: what a picture of a video never seen should sound like, nobody knows."""
    return Optimisation(
        optimiser="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        kl_weight=0,
        batch_size=batch_size,
        max_epochs=max_epochs,
        patience=max_epochs,
        judge="train",
        augmentation=1.0,
    )


CONTINUOUS = RunConfig(
    preset="continuous",
    seed=0,
    latent_size=128,
    picture=PictureSettings(size=112, fit="crop"),
    sound=SoundSettings(
        analysis_rate_hz=48000,
        playback_rate_hz=48000,
        n_fft=1024,
        hop=256,
        n_mels=128,
        seconds=1.0,
        loudness_lufs=-23.0,
        range_db=80.0,
        inversion=STREAM,
    ),
    image_vae=VaeSettings(
        widths=(24, 48, 96, 192),
        strides=((2, 2),) * 4,
        neck=64,
        linear_pool=(4, 4),
        fit=_CONTINUOUS_VAE_FIT,
    ),
    sound_vae=VaeSettings(
        widths=(12, 24, 48, 96, 160),
        strides=((2, 2),) * 5,
        neck=64,
        linear_pool=(2, 8),
        fit=_CONTINUOUS_VAE_FIT.model_copy(update={"texture_weight": 0.1}),
    ),
    associator=FlowSettings(
        hidden=384,
        layers=3,
        embedding_size=64,
        labels="category",
        label_share=0.5,
        blur=0.3,
        guidance=2.0,
        temperature=0.4,
        steps=6,
        bridge=_associator_fit(max_epochs=60, batch_size=256).model_copy(
            update={"weight_decay": 0.3}
        ),
        flow=_associator_fit(max_epochs=300, batch_size=256),
        fit=_associator_fit(max_epochs=40, batch_size=512),
    ),
)

PRESETS = {preset.preset: preset for preset in (CONTINUOUS, PAPER)}


def preset(name: str) -> RunConfig:
    """The preset called `name`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in PRESETS:
        raise UsageError(f"--preset {name}: unknown; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
