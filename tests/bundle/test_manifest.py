"""The manifest: what it accepts, what it refuses, and how it scales a mel."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import BundleError, NewerSchemaError
from ytm_bundle.manifest import (
    INVERTER,
    MAX_MANIFEST_BYTES,
    GrainInversion,
    SoundSpec,
    StreamInversion,
    read_manifest,
)

SOUND = SoundSpec(
    analysis_rate_hz=48000,
    playback_rate_hz=48000,
    n_fft=1024,
    hop=256,
    n_mels=128,
    frames=188,
    floor_db=-60,
    ceiling_db=20,
    loudness_lufs=-23,
    inversion=GrainInversion(frames=9, iterations=5),
)

STREAM = {"kind": "stream", "look_ahead_frames": 1, "iterations": 6, "updates": 2}


@pytest.mark.parametrize("hop", [256, 512])
def test_a_sound_may_be_streamed_and_stays_so_when_written(hop):
    sound = SoundSpec.model_validate({**SOUND.model_dump(), "inversion": STREAM, "hop": hop})
    assert sound.inversion == StreamInversion(look_ahead_frames=1, iterations=6, updates=2)
    assert SoundSpec.model_validate_json(sound.model_dump_json()) == sound


@given(st.floats(-59.9, 19.9))
def test_scaling_and_unscaling_are_inverse_inside_the_range(decibels):
    power = np.array([10 ** (decibels / 10)])
    assert SOUND.unscale(SOUND.scale(power)) == pytest.approx(power, rel=1e-4)


def test_scale_has_known_ends():
    power = np.array([0.0, 1e-6, 1.0, 100.0, 1e9])
    assert SOUND.scale(power) == pytest.approx([0, 0, 0.75, 1, 1])
    assert SOUND.unscale(np.array([0.0, 0.75, 1.0])) == pytest.approx([0, 1, 100])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ceiling_db": -60}, "must be greater than floor_db"),
        ({"hop": 513}, "at most half of n_fft"),
        ({"inversion": {"kind": "grains", "frames": 200, "iterations": 1}}, "exceeds"),
        ({"inversion": STREAM, "hop": 200}, "hop 200 cannot be streamed with n_fft 1024"),
        ({"inversion": STREAM, "n_fft": 1000, "hop": 250}, "and n_fft a power of two"),
        ({"inversion": STREAM | {"iterations": 0}}, "greater than or equal to 1"),
        ({"inversion": {"kind": "vocoder"}}, "grains"),
        ({"n_mels": 0}, "greater than or equal to 8"),
        ({"playback_rate_hz": 48000.5}, "integer"),
        ({"colour": "RGB"}, "Extra inputs"),
        ({"floor_db": float("nan")}, "finite"),
    ],
)
def test_sound_spec_refuses(change, words):
    with pytest.raises(ValidationError, match=words):
        SoundSpec.model_validate({**SOUND.model_dump(), **change})


@pytest.fixture
def manifest(tiny_bundle_path, tmp_path):
    """The tiny bundle's manifest as a file that may be spoiled."""
    path = tmp_path / "manifest.json"
    path.write_bytes((tiny_bundle_path / "manifest.json").read_bytes())
    return path


def test_manifest_survives_a_round_trip(tiny_bundle_path, manifest):
    with open_bundle(tiny_bundle_path) as bundle:
        assert read_manifest(manifest) == bundle.manifest


def test_marks_of_what_was_learned_may_be_absent(manifest):
    data = json.loads(manifest.read_text())
    del data["learned"]
    manifest.write_text(json.dumps(data))
    assert read_manifest(manifest).learned == ()
    manifest.write_text(json.dumps({**data, "learned": ["0123456789abcdef"]}))
    assert read_manifest(manifest).learned == ("0123456789abcdef",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.update(schema_version=3), "schema_version is 3.*update youtube-mirror"),
        (lambda m: m.update(schema_version=0), "schema_version"),
        (lambda m: m.update(schema_version="1"), "schema_version"),
        (lambda m: m.pop("image"), "image: Field required"),
        (lambda m: m["image"].update(width=8), "image.width: .*'8'"),
        (lambda m: m["graphs"].pop("sound_decoder"), "graphs lacks sound_decoder"),
        (lambda m: m.update(latent_size=9), "latent has shape"),
        (lambda m: m["graphs"]["image_encoder"].update(inputs=[]), "no device"),
        (lambda m: m["replay"].update(order=[]), "replay.order"),
        (lambda m: m.update(name="../../etc"), "name"),
        (lambda m: m.update(learned=["0123456789abcdeF"]), "learned.0"),
    ],
)
def test_spoilt_manifest_is_refused_by_key(manifest, spoil, words):
    data = json.loads(manifest.read_text())
    spoil(data)
    manifest.write_text(json.dumps(data))
    with pytest.raises(BundleError, match=words):
        read_manifest(manifest)


def test_a_manifest_of_the_first_version_is_read_as_it_was(manifest):
    data = json.loads(manifest.read_text())
    for graph in data["graphs"].values():
        del graph["state"]
    manifest.write_text(json.dumps({**data, "schema_version": 1}))
    read = read_manifest(manifest)
    assert read.schema_version == 1
    assert INVERTER not in read.graphs


def _streamed(data):
    """A manifest with a streamed sound, and the graph that streams it."""
    sound = data["sound"]
    sound.update(inversion=STREAM, n_fft=256, hop=64, n_mels=16)
    shapes = {"power": [16], "recent": [2, 16], "phasors": [2, 2, 129], "past": [320]}
    recent, phasors, past = (
        {"name": name, "shape": shapes[name]} for name in ("recent", "phasors", "past")
    )
    data["graphs"][INVERTER] = {
        "inputs": [{"name": "power", "shape": shapes["power"]}],
        "output": {"name": "hop", "shape": [64]},
        "state": [recent, phasors, past],
        "tolerance": 5e-3,
    }
    return data["graphs"][INVERTER]


def test_the_graph_of_a_streamed_sound_may_be_there(manifest):
    data = json.loads(manifest.read_text())
    _streamed(data)
    manifest.write_text(json.dumps(data))
    shapes = {each.name: each.shape for each in read_manifest(manifest).graphs[INVERTER].state}
    assert shapes == {"recent": (2, 16), "phasors": (2, 2, 129), "past": (320,)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m, g: g["state"].pop(), "graphs.inverter keeps"),
        (lambda m, g: g.update(state=[]), "graphs.inverter keeps"),
        (lambda m, g: g["state"].reverse(), "graphs.inverter keeps"),
        (lambda m, g: g["state"][0].update(shape=[3, 16]), "recent has shape"),
        (lambda m, g: g["state"][0].update(name="memory"), "state.0.name"),
        (lambda m, g: g["output"].update(shape=[128]), "hop has shape"),
        (lambda m, g: g["inputs"].clear(), "no device understands"),
        (lambda m, g: m["graphs"]["image_encoder"].update(state=g["state"]), "image_encoder keeps"),
        (lambda m, g: m["sound"].update(inversion={"kind": "grains", "frames": 5, "iterations": 2}),
         "power has shape"),
        (lambda m, g: m["sound"]["inversion"].update(look_ahead_frames=2), "recent has shape"),
    ],
)  # fmt: skip
def test_a_spoilt_inverter_is_refused_by_key(manifest, spoil, words):
    data = json.loads(manifest.read_text())
    spoil(data, _streamed(data))
    manifest.write_text(json.dumps(data))
    with pytest.raises(BundleError, match=words):
        read_manifest(manifest)


def test_newer_schema_has_its_own_error(manifest):
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**data, "schema_version": 99, "unheard_of": True}))
    with pytest.raises(NewerSchemaError, match="99"):
        read_manifest(manifest)


@pytest.mark.parametrize("text", ["", "[", "3", "null", "[" * 100_000, '{"schema_version": 1}'])
def test_what_is_not_a_manifest_is_refused(manifest, text):
    manifest.write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        read_manifest(manifest)


def test_huge_or_missing_or_binary_manifest_is_refused(manifest):
    manifest.write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(BundleError, match="larger than"):
        read_manifest(manifest)
    manifest.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="not valid JSON"):
        read_manifest(manifest)
    manifest.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("n_fft", "hop", "obstacle"),
    [
        (1024, 256, None),
        (1024, 512, None),
        (1000, 250, "hop 250 cannot be streamed with n_fft 1000"),
        (1024, 128, "hop 128 cannot be streamed with n_fft 1024"),
    ],
)
def test_grains_may_have_any_hop_but_say_whether_they_could_be_streamed(
    n_fft: int, hop: int, obstacle: str | None
) -> None:
    sound = SOUND.model_copy(update={"n_fft": n_fft, "hop": hop})
    found = sound.why_not_streamed()
    assert found is None if obstacle is None else (found or "").startswith(obstacle)
