"""How long training will take: what is multiplied with what, and that nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from small_run import ENVIRONMENT, train, train_command, write_small_dataset
from ytm_training.learn.estimate import PAPER_PAIRS, Estimate, StageCost
from ytm_training.learn.progress import Pace, told

STAGE = StageCost(
    "image_vae", epochs=10, grows=True, preparing_s=4, learning_s=2, checking_s=1, rest_s=0.5
)


def test_what_grows_with_the_dataset_is_multiplied_and_the_rest_is_not() -> None:
    assert STAGE.epoch_s() == 3.5
    assert STAGE.total_s() == 4 + 10 * 3.5
    assert STAGE.total_s(2) == 8 + 10 * 6.5
    assert StageCost("pupil", 10, False, 4, 2, 1, 0.5).total_s(2) == STAGE.total_s()


def test_the_whole_is_the_sum() -> None:
    found = Estimate(pairs=100, reading_s=3, stages=(STAGE, STAGE))
    assert found.total_s(100) == 3 + 2 * STAGE.total_s()
    assert found.total_s(200) == 6 + 2 * STAGE.total_s(2)
    assert found.as_values()["at_most_s_for_paper_pairs"] == found.total_s(PAPER_PAIRS)


@pytest.mark.parametrize("associator", ["continuous", "paper"])
def test_the_command_names_every_stage_and_writes_nothing(associator, tmp_path) -> None:
    dataset = write_small_dataset(tmp_path / "dataset", 6)
    before = sorted(path.name for path in dataset.iterdir())
    flags = ("--preset", associator, "--estimate", "--json", "--max-epochs", "40")
    done = train(dataset, tmp_path / "run", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    stages = set(found["stages"])
    assert {"image_vae", "sound_vae", "image_to_sound", "sound_to_image"} <= stages
    assert all(stage["max_epochs"] == 40 for stage in found["stages"].values())
    spent_s = sum(stage["at_most_s"] for stage in found["stages"].values())
    assert found["at_most_s"] == pytest.approx(found["reading_s"] + spent_s)
    assert found["pairs"] == 24
    assert found["at_most_s_for_paper_pairs"] > found["at_most_s"] > 0
    assert not (tmp_path / "run").exists()
    assert sorted(path.name for path in dataset.iterdir()) == sorted([*before, "split.json"])


def test_the_table_names_the_paper_and_the_time(tmp_path) -> None:
    dataset = write_small_dataset(tmp_path / "dataset", 6)
    command = [*train_command(dataset, tmp_path / "run", "--estimate"), "--max-epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "6,091 pairs" in done.stderr
    assert "image_vae" in done.stderr


def test_without_a_folder_for_the_run_nothing_is_trained(tmp_path) -> None:
    command = [str(Path(sys.executable).with_name("ytm-train")), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert done.returncode == 2
    assert "--out is missing" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.04 s"), (8.4, "8 s"), (119, "119 s"), (121, "2 min"), (12_000, "3 h 20 min")],
)
def test_durations_are_told_in_few_words(seconds, words) -> None:
    assert told(seconds) == words


def test_the_time_left_follows_the_recent_epochs_and_not_one_that_was_held_up() -> None:
    pace, now_s = Pace(0.0), 0.0
    for epoch_s in [9.0] * 15 + [2.0] * 14 + [300.0]:
        now_s += epoch_s
        pace.finished(now_s)
    assert pace.left_s(10) == 20
    assert pace.left_s(0) == 0
