"""The parts of training: batches, augmentation, hearing, settings, figures."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.errors import UsageError
from ytm_training.comparison import (
    predict_from_components,
    predict_from_mean_colour,
    psnr_db,
    ssim,
)
from ytm_training.learn.augment import augment_mels, augment_pictures
from ytm_training.learn.batches import Batches
from ytm_training.learn.command import settings
from ytm_training.learn.config import CONTINUOUS, PAPER
from ytm_training.learn.hearing import (
    MAX_GAIN_DB,
    learned_window,
    mel_matrix,
    mel_power,
    sound_spec,
    source_gain_db,
)
from ytm_training.learn.quality import representative
from ytm_training.learn.tensors import pictures_to_tensor, tensor_to_pictures

RATE_HZ = 48000


def test_an_epoch_is_the_same_whenever_it_comes():
    samples = torch.arange(10.0)[:, None]
    batches = Batches(samples, 3).shuffle(7, lambda x, random: x + torch.rand(1, generator=random))
    epochs = []
    for epoch in (0, 1, 2, 1):
        batches.set_epoch(epoch)
        epochs.append(torch.cat([part for (part,) in batches]))
    assert torch.equal(epochs[1], epochs[3])
    assert not torch.equal(epochs[0], epochs[1])


@given(st.integers(1, 50), st.integers(2, 16), st.integers(1, 3))
def test_processes_share_the_samples_equally_and_no_batch_is_too_large(count, size, processes):
    samples = torch.arange(float(count))[:, None]
    seen = []
    for process in range(processes):
        batches = Batches(samples, size).shuffle(0)
        batches.share(process, processes)
        parts = [part[:, 0] for (part,) in batches]
        assert len(parts) == len(batches)
        assert all(len(part) <= size for part in parts)
        seen.append(torch.cat(parts))
    assert len({len(part) for part in seen}) <= 2 if count < processes else 1
    everything = torch.cat(seen)
    assert len(set(everything.tolist())) == len(everything)


def test_unshuffled_batches_keep_the_order():
    samples = torch.arange(7.0)[:, None]
    assert torch.equal(torch.cat([part for (part,) in Batches(samples, 3)]), samples)


@pytest.mark.parametrize("augment", [augment_pictures, augment_mels])
def test_augmentation_stays_in_range_and_follows_its_generator(augment):
    x = torch.rand(6, 3 if augment is augment_pictures else 1, 16, 20)
    first = augment(1.0, x, torch.Generator().manual_seed(1))
    assert torch.equal(first, augment(1.0, x, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, augment(1.0, x, torch.Generator().manual_seed(2)))
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1


def test_augmentation_of_no_strength_only_flips():
    x = torch.rand(20, 3, 8, 8)
    changed = augment_pictures(0.0, x, torch.Generator().manual_seed(0))
    for before, after in zip(x, changed, strict=True):
        flipped = torch.allclose(after, before.flip(2), atol=1e-3)
        assert flipped or torch.allclose(after, before, atol=1e-3)
    mels = torch.rand(4, 1, 8, 8)
    assert torch.equal(augment_mels(0.0, mels, torch.Generator().manual_seed(0)), mels)


def _tone(level: float, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    return (level * np.sin(2 * np.pi * 997 * t)).astype(np.float32)


def _gain_db(segments, loudness_lufs, levelling=1.0):
    settings = {"loudness_lufs": loudness_lufs, "levelling": levelling}
    return source_gain_db(segments, RATE_HZ, CONTINUOUS.sound.model_copy(update=settings))


def test_a_full_scale_sine_at_997_hz_measures_as_bs1770_says():
    # ITU-R BS.1770: 0 dBFS, 997 Hz, one channel: -3.01 LKFS.
    assert _gain_db([_tone(1.0)], 0.0) == pytest.approx(3.01, abs=0.05)


def test_gain_is_one_for_a_source_and_bounded():
    loud, quiet = _tone(0.5), _tone(0.005)
    assert _gain_db([loud, quiet], -23) == pytest.approx(_gain_db([loud], -23), abs=1)
    assert _gain_db([_tone(1e-3)], 0) == MAX_GAIN_DB
    assert _gain_db([np.zeros(RATE_HZ, np.float32)], -23) == 0


def test_levelling_goes_part_of_the_way():
    assert _gain_db([_tone(1.0)], 0.0, 0.5) == pytest.approx(3.01 / 2, abs=0.05)
    assert _gain_db([_tone(1.0)], 0.0, 0.0) == 0


def test_window_is_centred_on_the_onset_and_stays_inside():
    samples = np.arange(PAPER.sound.analysis_rate_hz, dtype=np.float32)
    half = PAPER.sound.samples // 2
    assert learned_window(samples, 0.5, PAPER.sound)[half] == samples.size // 2
    assert learned_window(samples, 0.0, PAPER.sound)[0] == 0
    assert learned_window(samples, 1.0, PAPER.sound)[-1] == samples[-1]
    assert len(learned_window(samples, 0.3, CONTINUOUS.sound)) == CONTINUOUS.sound.samples


@pytest.mark.parametrize("config", [CONTINUOUS, PAPER], ids=lambda config: config.preset)
def test_a_tone_is_loudest_in_its_own_mel_band(config):
    sound = config.sound
    power = mel_power(_tone(0.5), RATE_HZ, 0.5, sound)
    assert power.shape == (sound.n_mels, sound.frames)
    matrix = mel_matrix(sound.analysis_rate_hz, sound.n_fft, sound.n_mels)
    expected = matrix[:, round(997 * sound.n_fft / sound.analysis_rate_hz)].argmax()
    assert abs(int(power[:, sound.frames // 2].argmax()) - int(expected)) <= 1


def test_sound_spec_spans_the_loudest_mels():
    power = np.full((3, 128, 9), 50.0, np.float32)
    spec = sound_spec(PAPER.sound, power)
    assert spec.ceiling_db == 17
    assert spec.floor_db == 17 - PAPER.sound.range_db
    assert spec.frames == 9


def test_settings_can_be_overridden_by_key():
    config = settings("paper", 5, 3, ["image_vae.fit.learning_rate=0.01", "picture.fit=crop"])
    assert config.seed == 5
    assert config.associator.fit.max_epochs == 3
    assert config.image_vae.fit.learning_rate == 0.01
    assert config.picture.fit == "crop"


@pytest.mark.parametrize(
    ("preset", "override", "words"),
    [
        ("papers", "seed=1", "choose one of"),
        ("paper", "image_vae.fit.speed=1", "no such setting"),
        ("paper", "nonsense", "no such setting"),
        ("paper", "seed.more=1", "no such setting"),
        ("paper", "image_vae.fit.learning_rate=-1", "image_vae.fit.learning_rate"),
        ("paper", "sound_vae.widths=[3]", "widths and strides"),
        ("paper", "picture.size=big", "picture.size"),
    ],
)
def test_wrong_settings_are_named(preset, override, words):
    with pytest.raises(UsageError, match=words):
        settings(preset, None, None, [override])


def test_figures_have_known_values():
    truth = torch.full((1, 3, 16, 16), 0.5)
    assert psnr_db(truth + 0.1, truth).item() == pytest.approx(20, abs=1e-3)
    noise = torch.rand(1, 3, 32, 32)
    assert ssim(noise, noise).tolist() == pytest.approx([1] * len(noise))
    assert ssim(noise, 1 - noise).max() < 0


def test_mean_colour_predicts_flat_pictures_and_nothing_more():
    flat = torch.rand(40, 3, 1, 1).expand(40, 3, 8, 8)
    assert psnr_db(predict_from_mean_colour(flat, flat), flat).min() > 35
    pictures = torch.rand(40, 3, 8, 8)
    assert psnr_db(predict_from_mean_colour(pictures, pictures), pictures).mean() < 15


def test_all_components_rebuild_what_they_were_made_from():
    pictures = 0.25 + 0.5 * torch.rand(6, 3, 8, 8)
    assert psnr_db(predict_from_components(pictures, pictures, 6), pictures).min() > 50


def test_representatives_come_from_every_cluster():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [50, 0], [0, 50]], np.float32)
    latents = np.concatenate([centre + rng.normal(0, 1, (20, 2)) for centre in centres])
    chosen = representative(latents.astype(np.float32), 3, 0)
    assert sorted(index // 20 for index in chosen) == [0, 1, 2]
    assert len(representative(latents[:2].astype(np.float32), 5, 0)) == 2


def test_pictures_and_tensors_are_inverse():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    assert np.array_equal(tensor_to_pictures(pictures_to_tensor(pictures)), pictures)
