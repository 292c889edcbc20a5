"""`ytm-train` as people run it: to the end, interrupted, killed, on two processes, on bad input."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from small_run import BIN, ENVIRONMENT, same, train, train_command, weights, write_small_dataset

EPOCHS = ("--max-epochs", "6")
STAGES = {
    *("image_vae", "sound_vae", "bridge"),
    *("image_to_sound_flow", "image_to_sound", "sound_to_image_flow", "sound_to_image"),
}
HANG_S = 300


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("train") / "dataset", 6)


@pytest.fixture(scope="module")
def run(dataset):
    """A run that nothing interrupted."""
    folder = dataset.parent / "run"
    done = train(dataset, folder, *EPOCHS, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.pop("run") == str(folder)
    assert figures == json.loads((folder / "metrics.json").read_text())
    return folder


def test_a_run_holds_what_it_should(run):
    assert set(weights(run, "best.ckpt")) == set(weights(run, "last.ckpt")) == STAGES
    config = json.loads((run / "config.json").read_text())
    assert config["image_vae"]["fit"]["max_epochs"] == 6
    assert config["image_vae"]["widths"] == [4, 8, 8, 8]
    split = json.loads((run / "material.json").read_text())["split"]
    assert sorted(split["train"] + split["validation"] + split["test"]) == [
        f"video0{index}" for index in range(6)
    ]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test_segments"] == 4
    assert metrics["picture_latent_distance"] > 0
    assert metrics["picture_psnr_db"] > metrics["picture_psnr_db_by_mean_colour"]
    assert (run / "pictures" / "seen-rebuilt-imagined.png").is_file()
    assert len(list((run / "sounds").glob("*.wav"))) == 12
    for stage in STAGES:
        assert list((run / "tensorboard" / stage).glob("events.*"))


def _begun(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until `path` is there."""
    deadline = time.monotonic() + HANG_S
    while not path.exists():
        assert process.poll() is None, "ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.005)


STOPS = [
    ("image_vae", signal.SIGKILL),
    ("sound_vae", signal.SIGINT),
    ("image_to_sound_flow", signal.SIGKILL),
    ("sound_to_image", signal.SIGKILL),
]


def test_stopped_again_and_again_it_ends_with_the_same_weights(dataset, run, tmp_path):
    folder = tmp_path / "run"
    codes, messages = [], []
    for stage, how in STOPS:
        command = train_command(dataset, folder, *EPOCHS)
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
        ) as process:
            _begun(folder / "stages" / stage / "last.ckpt", process)
            process.send_signal(how)
            messages.append(process.communicate(timeout=HANG_S)[1])
            codes.append(process.returncode)
    assert codes == [-signal.SIGKILL, 130, -signal.SIGKILL, -signal.SIGKILL]
    assert b"the same command again goes on" in messages[1]
    assert train(dataset, folder, *EPOCHS).returncode == 0
    for name in ("best.ckpt", "last.ckpt"):
        assert same(weights(folder, name), weights(run, name))
    assert (folder / "metrics.json").read_text() == (run / "metrics.json").read_text()


def test_another_seed_gives_other_weights(dataset, run, tmp_path):
    assert train(dataset, tmp_path / "run", *EPOCHS, "--seed", "1").returncode == 0
    assert not same(weights(tmp_path / "run", "best.ckpt"), weights(run, "best.ckpt"))


def test_a_finished_run_is_left_as_it_is(dataset, run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.ckpt")}
    assert train(dataset, run, *EPOCHS).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.ckpt")} == before


def test_half_the_precision_learns_the_same(dataset, run, tmp_path):
    flags = ("--set", "image_vae.fit.precision=bfloat16")
    assert train(dataset, tmp_path / "run", *EPOCHS, *flags).returncode == 0
    full, half = (
        json.loads((folder / "metrics.json").read_text()) for folder in (run, tmp_path / "run")
    )
    assert half["picture_psnr_db"] == pytest.approx(full["picture_psnr_db"], abs=0.5)
    kept = weights(tmp_path / "run", "best.ckpt")["image_vae"]
    assert all(weight.dtype != torch.bfloat16 for weight in kept.values())


def test_early_stopping_ends_a_stage(dataset, tmp_path):
    flags = ("--max-epochs", "50", "--set", "image_vae.fit.patience=1")
    slow = ("--set", "image_vae.fit.learning_rate=1e-12", "--set", "associator.fit.max_epochs=2")
    slow += ("--set", "associator.bridge.max_epochs=2", "--set", "associator.flow.max_epochs=2")
    short = ("--set", "sound_vae.fit.max_epochs=2")
    assert train(dataset, tmp_path / "run", *flags, *slow, *short).returncode == 0
    done = json.loads((tmp_path / "run" / "stages" / "image_vae" / "done.json").read_text())
    assert 2 <= done["epochs"] < 50


def test_two_processes_train_one_run_as_well_as_one_does(dataset, run, tmp_path):
    torchrun = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2", "--no-python"]
    done = subprocess.run(
        torchrun + train_command(dataset, tmp_path / "run", *EPOCHS),
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert set(weights(tmp_path / "run", "best.ckpt")) == STAGES
    assert done.stderr.count("trained; go on with") == 1
    alone, together = (
        json.loads((folder / "metrics.json").read_text()) for folder in (run, tmp_path / "run")
    )
    assert together["picture_psnr_db"] == pytest.approx(alone["picture_psnr_db"], abs=1.0)
    assert together["sound_error_db"] == pytest.approx(alone["sound_error_db"], rel=0.1)


def _refused(dataset, folder, *flags):
    """What `ytm-train` says when it refuses."""
    before = sorted(folder.rglob("*")) if folder.exists() else None
    done = train(dataset, folder, *flags)
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert (sorted(folder.rglob("*")) if folder.exists() else None) == before
    return done.stderr


def test_other_settings_or_another_dataset_are_refused(dataset, run, tmp_path):
    assert "seed = 0, not 3" in _refused(dataset, run, *EPOCHS, "--seed", "3")
    other = write_small_dataset(tmp_path / "other", 5)
    assert "another dataset" in _refused(other, run, *EPOCHS)


def test_a_dataset_too_small_or_missing_is_refused(tmp_path):
    one = write_small_dataset(tmp_path / "one", 1)
    assert "training needs 3" in _refused(one, tmp_path / "run")
    assert "not a dataset" in _refused(tmp_path / "nothing", tmp_path / "run")


def test_a_folder_of_something_else_is_refused(dataset, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    assert "is not a run" in _refused(dataset, tmp_path / "photos", *EPOCHS)


def test_a_run_killed_as_it_began_can_be_begun_again(dataset, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "material.json").write_text("{}")
    (tmp_path / "run" / ".material.1.partial.json").write_text("{")
    assert train(dataset, tmp_path / "run", "--max-epochs", "1").returncode == 0


def test_a_damaged_checkpoint_is_named(dataset, run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    stage = folder / "stages" / "sound_vae"
    (stage / "done.json").unlink()
    (stage / "last.ckpt").write_bytes(b"half")
    assert "sound_vae/last.ckpt: damaged checkpoint" in train(dataset, folder, *EPOCHS).stderr


def test_help_teaches(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from ytm_training.learn.command import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the same command goes on where it was" in " ".join(done.stdout.split())
