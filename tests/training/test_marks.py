"""A segment is known again by its source and by its content, and mistaken for no other."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from small_run import write_small_dataset
from ytm_training.dataset import Outcome, Settings, read_dataset, write_shard
from ytm_training.learn.config import PAPER
from ytm_training.learn.material import load_material
from ytm_training.learn.run import MaterialRecord
from ytm_training.marks import segment_marks
from ytm_training.segment import Segment

RATE_HZ = 800


def segment(number: int, source: str = "a.mp4") -> Segment:
    rng = np.random.default_rng(number)
    image = rng.integers(0, 256, (6, 8, 3), np.uint8)
    sound = rng.uniform(-1.2, 1.2, RATE_HZ).astype(np.float32)
    return Segment(f"{source}@{number}", source, float(number), 0.5, image, sound, RATE_HZ)


def test_two_segments_of_one_video_share_the_mark_of_their_source_alone() -> None:
    one, other = segment_marks(segment(0)), segment_marks(segment(1))
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert all(re.fullmatch("[0-9a-f]{16}", mark) for mark in (*one, *other))
    assert len({*one, *other}) == 3


def test_a_renamed_copy_is_known_by_its_content() -> None:
    one, copy = segment_marks(segment(0)), segment_marks(segment(0, "renamed.mp4"))
    assert one[0] != copy[0]
    assert one[1] == copy[1]


def test_a_pixel_a_sample_a_shape_or_a_rate_makes_another_content() -> None:
    first = segment(0)
    brighter, louder = first.image.copy(), first.sound.copy()
    brighter[0, 0, 0] ^= 1
    louder[0] = -louder[0]
    changed = [
        replace(first, image=brighter),
        replace(first, sound=louder),
        replace(first, image=first.image.reshape(8, 6, 3)),
        replace(first, rate_hz=RATE_HZ * 2),
    ]
    assert len({segment_marks(one)[1] for one in (first, *changed)}) == 5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_marks_survive_the_dataset(tmp_path_factory, number) -> None:
    written = [segment(number), segment(number + 1, "b/ü.mkv")]
    dataset = tmp_path_factory.mktemp("dataset")
    write_shard(dataset, Settings(1, 0, RATE_HZ), written, [Outcome("a.mp4", 1, None)])
    read = read_dataset(dataset).segments()
    assert [segment_marks(one) for one in read] == [segment_marks(one) for one in written]


def test_a_run_records_what_it_learns_and_nothing_that_it_is_measured_on(tmp_path) -> None:
    dataset = write_small_dataset(tmp_path, 6)
    material = load_material(dataset, PAPER)
    learned = MaterialRecord.of(material).learned
    assert list(learned) == sorted(set(learned))
    for one in read_dataset(dataset).segments():
        marks = set(segment_marks(one))
        measured = one.source in material.split.test
        assert marks.isdisjoint(learned) if measured else marks <= set(learned)


def test_a_run_records_one_mark_a_source_and_one_a_segment(tmp_path) -> None:
    material = load_material(write_small_dataset(tmp_path, 6), PAPER)
    sources = {*material.split.train, *material.split.validation}
    segments = sum(source in sources for source in material.sources)
    assert len(material.learned()) == len(sources) + segments
