from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from ytm_device.camera.figure import Looks, arm_points
from ytm_training.dataset import read_dataset
from ytm_training.media import open_video
from ytm_training.scenes.drawing import draw, hand_pose
from ytm_training.scenes.scene import KINDS, Scene, Sway, Thing, random_scene
from ytm_training.scenes.sounding import sound
from ytm_training.scenes.videos import RATE_HZ, SIZE, write_videos
from ytm_training.scenes.voices import guitar

LOOKS = Looks((236, 188, 152), (92, 54, 34), (206, 74, 58), (52, 62, 96))


def scene_of(kind, height=0.5, size=0.8, across=0.5) -> Scene:
    thing = Thing(
        kind=kind,
        across=Sway(across),
        height=Sway(height),
        size=Sway(size),
        colour=(230, 40, 40),
        beat_s=0.7,
        first_beat_s=0.1,
        looks=LOOKS if kind == "person" else None,
    )
    return Scene(0, 0, (thing,), "plain", (128, 128, 128), (60, 60, 60), (0.5, 0.3), 0.1, 1.0)


def fundamental_hz(samples) -> float:
    """The pitch by autocorrelation: the first lag at which the sound repeats itself well."""
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    likeness = np.fft.irfft(power)[: RATE_HZ // 60]
    likeness[: RATE_HZ // 1200] = 0
    good = np.flatnonzero(likeness > 0.92 * likeness.max())
    first = good[: np.flatnonzero(np.diff(good, append=RATE_HZ) > 1)[0] + 1]
    return float(RATE_HZ / first[np.argmax(likeness[first])])


@pytest.mark.parametrize("kind", ["box", "guitar", "person"])
@pytest.mark.parametrize("height", [0.1, 0.5, 0.9])
def test_the_higher_the_picture_the_higher_the_pitch_by_the_rule(kind, height) -> None:
    scene = scene_of(kind, height)
    expected_hz = scene.things[0].pitch_hz(1.0)
    heard_hz = fundamental_hz(sound(scene, 2, RATE_HZ)[RATE_HZ // 2 : RATE_HZ])
    assert heard_hz == pytest.approx(expected_hz, rel=0.03)


@pytest.mark.parametrize(("kind", "height"), [("ball", 0.2), ("ball", 0.8), ("drum", 0.5)])
def test_sounds_with_few_harmonics_peak_at_their_pitch(kind, height) -> None:
    scene = scene_of(kind, height)
    samples = sound(scene, 2, RATE_HZ)[RATE_HZ // 2 : 3 * RATE_HZ // 2]
    peak_hz = float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))))
    assert peak_hz == pytest.approx(scene.things[0].pitch_hz(1.0), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_larger_the_louder_by_as_many_decibels_as_stated(kind) -> None:
    near, far = scene_of(kind, size=0.9), scene_of(kind, size=0.4)
    stated_db = near.things[0].level_db(0) - far.things[0].level_db(0)
    heard_db = 20 * np.log10(sound(near, 2, RATE_HZ).std() / sound(far, 2, RATE_HZ).std())
    assert stated_db == pytest.approx(12)
    assert heard_db == pytest.approx(stated_db, abs=0.5)


@pytest.mark.parametrize("pitch_hz", np.geomspace(70, 1000, 23))
def test_no_pitch_makes_a_plucked_string_grow(pitch_hz) -> None:
    second = guitar(np.full(RATE_HZ, pitch_hz), [0], RATE_HZ, np.random.default_rng(0))
    levels = second[: RATE_HZ // 4 * 4].reshape(4, -1).std(1)
    assert (levels[1:] < levels[:-1]).all()
    assert levels[-1] > 0


def test_a_nearer_object_fills_more_of_the_picture() -> None:
    red = [
        (draw(scene_of("ball", size=size), 0.5, 160, 120).astype(int) @ [1, -1, 0] > 40).mean()
        for size in (0.1, 0.5, 0.9)
    ]
    assert 0 < red[0] < red[1] / 2
    assert red[1] < red[2]


def test_a_higher_pitch_is_drawn_higher() -> None:
    rows = []
    for height in (0.2, 0.8):
        picture = draw(scene_of("ball", height, 0.3), 0.5, 160, 120).astype(int)
        rows.append(np.nonzero(picture @ [1, -1, 0] > 40)[0].mean())
    assert rows[1] < rows[0] - 40


def test_hands_are_on_average_as_high_as_the_pitch_also_when_one_is_above_the_other() -> None:
    even = scene_of("person", 0.3).things[0]
    uneven = dataclasses.replace(even, uneven=0.9)
    assert uneven.pitch_hz(0) == even.pitch_hz(0)
    for thing in (even, uneven):
        pose = hand_pose(thing, 0.0, 320, 240)
        middle = (pose.left.shoulder + pose.right.shoulder) / 2
        assert middle == pytest.approx(0.12 + 2.75 * 0.3)
    pose = hand_pose(uneven, 0.0, 320, 240)
    assert arm_points(pose, -1)[2].imag < arm_points(pose, 1)[2].imag - 20


def test_where_a_person_stands_makes_the_vowel() -> None:
    def bands(across: float) -> tuple[float, float]:
        """Power about the lower formants of a, and about the second of i, over the lowest."""
        samples = sound(scene_of("person", 0.1, across=across), 1, RATE_HZ)
        power = np.abs(np.fft.rfft(samples)) ** 2
        lowest = power[100:450].sum()
        return float(power[600:1300].sum() / lowest), float(power[1900:3300].sum() / lowest)

    u, a, i = bands(0.0), bands(0.5), bands(1.0)
    assert a[0] > 3 * u[0]
    assert a[0] > 10 * i[0]
    assert i[1] / i[0] > 3 * a[1] / a[0]
    assert i[1] / i[0] > 3 * u[1] / u[0]


def test_scenes_follow_from_their_seed_and_number_alone() -> None:
    assert random_scene(5, 17) == random_scene(5, 17)
    assert random_scene(5, 17) != random_scene(5, 18) != random_scene(6, 18)
    scene = random_scene(5, 17)
    np.testing.assert_array_equal(draw(scene, 1.3, 96, 72), draw(scene, 1.3, 96, 72))
    np.testing.assert_array_equal(sound(scene, 1, RATE_HZ), sound(scene, 1, RATE_HZ))


def test_people_are_well_represented_and_every_kind_and_wall_comes() -> None:
    scenes = [random_scene(0, number) for number in range(400)]
    people = [scene for scene in scenes if scene.things[0].kind == "person"]
    assert 0.33 < len(people) / len(scenes) < 0.47
    assert {len(scene.things) for scene in people} == {1, 2, 3}
    assert {thing.kind for scene in scenes for thing in scene.things} == set(KINDS)
    assert len({scene.wall for scene in scenes}) == 5


def test_every_random_scene_can_be_drawn_and_heard() -> None:
    for number in range(25):
        scene = random_scene(1, number)
        picture = draw(scene, 0.5, 80, 60)
        samples = sound(scene, 0.5, RATE_HZ)
        assert picture.shape == (60, 80, 3)
        assert picture.std() > 4
        assert 0.001 < np.abs(samples).max() <= 0.951
        for thing in scene.things:
            for t_s in np.linspace(0, 10, 50):
                for sway in (thing.across, thing.height, thing.size):
                    assert -1e-9 <= sway.at(t_s) <= 1 + 1e-9


def test_videos_of_scenes_go_through_collecting_with_their_truth(tmp_path, collect) -> None:
    folder, dataset = tmp_path / "scenes", tmp_path / "dataset"
    paths = list(write_videos(folder, 4, 0, 2.0))
    with (folder / "categories.csv").open(newline="") as file:
        truth = {row["file"]: row for row in csv.DictReader(file)}
    assert sorted(truth) == sorted(path.name for path in paths)
    collect(folder, dataset)
    segments = list(read_dataset(dataset).segments())
    assert {segment.source for segment in segments} == set(truth)
    for number, segment in enumerate(sorted(segments, key=lambda segment: segment.source)):
        scene = random_scene(0, number)
        assert segment.category == scene.category == truth[segment.source]["category"]
        assert segment.licence == "MIT"
        shown_s = int((segment.start_s + segment.onset_s) * 25 + 1e-6) / 25
        drawn = draw(scene, shown_s, *SIZE)
        assert np.abs(segment.image.astype(int) - drawn).mean() < 4
        begin = round(segment.start_s * RATE_HZ)
        made = sound(scene, 2.0, RATE_HZ)[begin : begin + RATE_HZ]
        assert np.corrcoef(made, segment.sound)[0, 1] > 0.97


def test_the_same_seed_writes_the_same_pictures(tmp_path) -> None:
    (one,) = write_videos(tmp_path / "one", 1, 3, 1.0)
    (other,) = write_videos(tmp_path / "other", 1, 3, 1.0)
    with open_video(one) as first, open_video(other) as second:
        np.testing.assert_array_equal(first.picture_at(0.7), second.picture_at(0.7))
        np.testing.assert_array_equal(first.sound(0, 0.9, RATE_HZ), second.sound(0, 0.9, RATE_HZ))
