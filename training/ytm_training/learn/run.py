"""A training run on disk: what was asked for, what was split how, and what came of it.

config.json    every setting
material.json  split, specs of picture and sound, rows, marks of what is learned, credits
stages/NAME/   checkpoints of image_vae, sound_vae, image_to_sound, sound_to_image
exemplars.npz  training segments that stand for all of them: the replay's material
metrics.json   figures on the test split
tensorboard/ pictures/ sounds/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from ytm_bundle.errors import RunError
from ytm_bundle.files import replacing, replacing_folder
from ytm_bundle.manifest import ImageSpec, SoundSpec, Source
from ytm_training.learn.config import RunConfig
from ytm_training.learn.fitting import is_done, load_best
from ytm_training.learn.material import Material
from ytm_training.models.associator import VariationalAssociator
from ytm_training.models.bridge import Embedding
from ytm_training.models.flow import FlowAssociator
from ytm_training.models.vae import Vae
from ytm_training.splitting import Split

STAGES = ("image_vae", "sound_vae", "image_to_sound", "sound_to_image")

Associator = VariationalAssociator | FlowAssociator
AnyModel = TypeVar("AnyModel", bound=BaseModel)


class MaterialRecord(BaseModel):
    """What a run was trained on, without the material itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Split
    image: ImageSpec
    sound: SoundSpec
    credits: tuple[Source, ...]
    segment_ids: tuple[str, ...]
    learned: tuple[str, ...]
    """Marks of all segments that teach or decide when to stop: nothing to measure on."""

    @classmethod
    def of(cls, material: Material) -> MaterialRecord:
        """The record of `material`."""
        return cls(
            split=material.split,
            image=material.image_spec,
            sound=material.sound_spec,
            credits=material.credits,
            segment_ids=material.segment_ids,
            learned=material.learned(),
        )


@dataclass(frozen=True)
class Networks:
    """The four networks of a mirror."""

    image_vae: Vae
    sound_vae: Vae
    image_to_sound: Associator
    sound_to_image: Associator


@dataclass(frozen=True)
class Exemplars:
    """Training segments that stand for the training set."""

    images: npt.NDArray[np.uint8]
    """(k, h, w, 3), RGB."""
    mels: npt.NDArray[np.float32]
    """(k, n_mels, frames), scaled."""


class Run:
    """The folder of one training run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stage_folder(self, stage: str) -> Path:
        """Where the checkpoints of a stage are."""
        return self.folder / "stages" / stage

    def config(self) -> RunConfig:
        """The settings the run was started with."""
        return _read_model(self.folder / "config.json", RunConfig)

    def material(self) -> MaterialRecord:
        """What the run is trained on."""
        return _read_model(self.folder / "material.json", MaterialRecord)

    def metrics(self) -> dict[str, float]:
        """Figures on the test split."""
        metrics: dict[str, float] = _read_json(self.folder / "metrics.json")
        return metrics

    def exemplars(self) -> Exemplars:
        """The replay's material."""
        path = self.folder / "exemplars.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Exemplars(arrays["images"], arrays["mels"].astype(np.float32))
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{path}: cannot be read ({error}); run ytm-train again") from error

    def begin(self, config: RunConfig, material: Material) -> None:
        """Store what the run is, or check that a run being continued is the same.

        Raises:
            RunError: the folder holds a run with other settings or another dataset, or no run.
        """
        record = MaterialRecord.of(material)
        if (self.folder / "config.json").is_file():
            self._check_same(config, record)
        elif self._holds_something_else():
            raise RunError(f"{self.folder}: is there and is not a run; give another --out")
        else:
            self._write_text("material.json", record.model_dump_json(indent=1))
            self._write_text("config.json", config.model_dump_json(indent=1))

    def _holds_something_else(self) -> bool:
        """Whether anything is there but what a run killed at its very beginning leaves."""
        if not self.folder.is_dir():
            return self.folder.exists()
        names = {path.name for path in self.folder.iterdir()} - {"material.json"}
        return any(".partial" not in name for name in names)

    def _check_same(self, config: RunConfig, record: MaterialRecord) -> None:
        stored = self.config().model_dump()
        for key, value in config.model_dump().items():
            if stored[key] != value:
                raise RunError(
                    f"{self.folder / 'config.json'}: this run was started with {key} ="
                    f" {stored[key]}, not {value}; give the same settings or another --out"
                )
        if self.material() != record:
            raise RunError(
                f"{self.folder}: this run was started on another dataset; give that one, or"
                " another --out"
            )

    def branch(self, folder: Path, config: RunConfig, stages: Sequence[str]) -> None:
        """Begin another run in `folder`, on the same material, that has some stages done already.

        Args:
            folder: where; nothing is done if it is there.
            config: of the other run; equal to this run's in all that concerns `stages`.
            stages: finished stages of this run.
        """
        if folder.exists():
            return
        with replacing_folder(folder) as begun:
            other = Run(begun)
            for stage in stages:
                shutil.copytree(self.stage_folder(stage), other.stage_folder(stage))
            other._write_text("material.json", self.material().model_dump_json(indent=1))
            other._write_text("config.json", config.model_dump_json(indent=1))

    def write_metrics(self, metrics: dict[str, float]) -> None:
        """Store the figures."""
        self._write_text("metrics.json", json.dumps(metrics, indent=1))

    def write_exemplars(self, exemplars: Exemplars) -> None:
        """Store the replay's material."""
        with replacing(self.folder / "exemplars.npz") as temporary:
            np.savez(temporary, images=exemplars.images, mels=exemplars.mels.astype(np.float16))

    def _write_text(self, name: str, text: str) -> None:
        with replacing(self.folder / name) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")

    def untrained(self, config: RunConfig, mel_shape: Sequence[int]) -> Networks:
        """The four networks before training, their first weights drawn by torch's generator."""
        size = config.picture.size
        return Networks(
            Vae(config.image_vae.shape((3, size, size), config.latent_size)),
            Vae(config.sound_vae.shape((1, mel_shape[0], mel_shape[1]), config.latent_size)),
            _untrained_associator(config),
            _untrained_associator(config),
        )

    def trained(self) -> Networks:
        """The four networks with their best weights, ready for inference on the CPU.

        Raises:
            RunError: the run is not finished, or damaged.
        """
        networks = self.untrained(self.config(), self.material().sound.mel_shape)
        for stage in STAGES:
            if not is_done(self.stage_folder(stage)):
                raise RunError(
                    f"{self.folder}: stage {stage} is not finished; run the same ytm-train"
                    " command again"
                )
            load_best(getattr(networks, stage), self.stage_folder(stage))
        return networks


def _untrained_associator(config: RunConfig) -> Associator:
    settings, size = config.associator, config.latent_size
    if settings.kind == "variational":
        return VariationalAssociator(settings.shape(size))
    embedding = Embedding(size, settings.embedding_size)
    return FlowAssociator(settings.shape(size), embedding)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror}); is {path.parent} a finished run of"
            " ytm-train?"
        ) from error
    except ValueError as error:
        raise RunError(f"{path}: damaged ({error})") from error


def _read_model(path: Path, model: type[AnyModel]) -> AnyModel:
    try:
        return model.model_validate_json(json.dumps(_read_json(path)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{path}: {key}: {first['msg']}") from error
