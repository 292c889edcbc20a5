"""`ytm-evaluate` as people run it: on a run, on the bundle made of it, and on what is refused."""

import json
import re
import shutil
import sys
from dataclasses import replace

import pytest

from small_mind import SOUND
from small_run import PER_SOURCE
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import DatasetError, EvaluationError
from ytm_training.dataset import read_dataset, write_shard
from ytm_training.evaluation.command import main
from ytm_training.evaluation.mind import open_mind
from ytm_training.evaluation.rows import load_pool
from ytm_training.learn.hearing import sound_settings


@pytest.fixture
def evaluate(capsys, monkeypatch):
    """Run ytm-evaluate as a person would; what it printed, and its messages."""

    def run(mind, dataset, out, *flags, code=0):
        arguments = ["ytm-evaluate", mind, dataset, "--out", out, "--threads", "1", *flags]
        monkeypatch.setattr(sys, "argv", [str(each) for each in arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed, said = capsys.readouterr()
        assert (ended.value.code or 0) == code, said
        return printed, said

    return run


@pytest.fixture(scope="module")
def dataset(run):
    """The dataset that the run learned from."""
    return run.parent / "dataset"


def copied(dataset, out, rename):
    """The same segments, of sources called otherwise."""
    opened = read_dataset(dataset)
    segments = [
        replace(
            segment,
            source=rename(segment.source),
            segment_id=rename(segment.source) + f"@{segment.start_s}",
        )
        for segment in opened.segments()
    ]
    write_shard(out, opened.settings(), segments, list(opened.outcomes().values()))
    return out


def test_a_run_is_measured_on_what_it_did_not_learn_from(run, dataset, evaluate, tmp_path):
    printed, said = evaluate(run, dataset, tmp_path / "report", "--json")
    stated = json.loads(printed)
    assert stated == json.loads((tmp_path / "report" / "figures.json").read_text())
    assert stated["rows"] == PER_SOURCE
    assert stated["rows_refused"] == 5 * PER_SOURCE
    assert "learned from their videos" in said
    figures = stated["figures"]
    for key in ("image_to_sound.mel.r_at_1", "sound_to_image.latent.source_mrr"):
        assert {"chance", "shuffled", "average", "nearest_known"} <= figures[key]["beside"].keys()
    assert figures["fidelity.picture_psnr"]["value"] > 5
    assert figures["distinctness.sound_active_dimensions"]["value"] <= 128


def test_the_page_needs_no_network(run, dataset, evaluate, tmp_path):
    _, said = evaluate(run, dataset, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert not re.search(r"https?:|src='(?!data:)|href=|url\(", page)
    assert page.count("data:audio/wav;base64,") == 3 * PER_SOURCE
    assert page.count("<svg") > 50
    assert len(page) < 8e6
    assert "remembered pictures" in said
    assert max(map(len, said.splitlines())) <= 80 + len(str(tmp_path))


def test_a_bundle_is_measured_like_its_run(run, built, dataset):
    with open_mind(run) as one, open_mind(built[0]) as other:
        assert one.learned == other.learned
        assert one.listening.samples == other.listening.samples
        pools = [load_pool(dataset, mind, 2000, 0) for mind in (one, other)]
        for name in ("images", "mels"):
            assert (getattr(pools[0].rows, name) == getattr(pools[1].rows, name)).all()
        rows = pools[0].rows
        answers = [mind.sound_from(mind.sound_of(mind.see(rows.images))) for mind in (one, other)]
        assert abs(answers[0] - answers[1]).max() < 0.02
        pictures = [mind.picture(mind.picture_of(mind.hear(rows.mels))) for mind in (one, other)]
        assert abs(pictures[0].astype(int) - pictures[1]).max() <= 5


def test_a_bundle_says_how_it_listened(run, built):
    with open_bundle(built[0]) as bundle:
        spec = bundle.manifest.sound
    assert sound_settings(spec).model_dump().keys() > {"levelling", "seconds"}
    assert sound_settings(spec).frames == spec.frames
    old = spec.model_copy(update={"seconds": None})
    assert sound_settings(old).frames == spec.frames


def test_the_same_seed_draws_the_same_rows(run, dataset):
    other = copied(dataset, dataset.parent / "drawn", lambda source: source)
    with open_mind(run) as mind:
        mind.learned = None
        first, again, third = (
            load_pool(other, mind, 5, seed, trust=True).rows.segment_ids.tolist()
            for seed in (1, 1, 2)
        )
    assert first == again != third
    assert len(first) == 5


def test_renamed_copies_are_refused(run, dataset, evaluate, tmp_path):
    renamed = copied(dataset, tmp_path / "renamed", lambda source: f"other/{source}")
    with open_mind(run) as mind:
        pool = load_pool(renamed, mind, 2000, 0)
        assert len(pool.unseen) == PER_SOURCE
        learned = copied(
            dataset, tmp_path / "one", lambda source: "all of one" if source else source
        )
        with pytest.raises(EvaluationError, match="learned from or was chosen by"):
            load_pool(learned, mind, 2000, 0)


def test_a_bundle_without_marks_needs_trust(make_bundle, dataset, evaluate, tmp_path):
    bundle, out = make_bundle(tmp_path / "old", sound=SOUND), tmp_path / "report"
    _, said = evaluate(bundle, dataset, out, code=1)
    assert "carries no marks" in said
    assert "--trust" in said
    assert not out.exists()
    printed, said = evaluate(bundle, dataset, out, "--trust", "--limit", 20, "--json")
    assert "trusted as asked" in said
    stated = json.loads(printed)
    assert (stated["marks_known"], stated["rows"], stated["rows_refused"]) == (False, 20, 0)
    assert "cross-validation" in stated["compared_with_what_was_fitted"]


def test_a_sound_that_no_part_of_a_second_gives_is_refused(tiny_bundle_path):
    with pytest.raises(EvaluationError, match=r"sound\.frames is 10"), open_mind(tiny_bundle_path):
        pass


def test_what_is_there_stays_if_it_fails(run, dataset, evaluate, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    (report / "figures.json").write_text("{}")
    damaged = shutil.copytree(dataset, tmp_path / "damaged")
    shard = next((damaged / "shards").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-200])
    _, said = evaluate(run, damaged, report, code=1)
    assert "damaged" in said
    _, said = evaluate(run, tmp_path / "nothing", report, code=1)
    assert "not a dataset" in said
    assert [path.name for path in report.iterdir()] == ["figures.json"]
    assert (report / "figures.json").read_text() == "{}"
    assert not list(tmp_path.glob(".report*"))


def test_something_else_is_never_replaced(run, dataset, evaluate, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    _, said = evaluate(run, dataset, tmp_path / "photos", code=2)
    assert "is not a report" in said
    assert (tmp_path / "photos" / "one.jpg").read_text() == "x"


def test_neither_run_nor_bundle(dataset, evaluate, tmp_path):
    _, said = evaluate(tmp_path / "nothing", dataset, tmp_path / "report", code=1)
    assert "no such bundle" in said


def test_an_empty_dataset(run, tmp_path):
    (tmp_path / "empty" / "shards").mkdir(parents=True)
    with open_mind(run) as mind, pytest.raises(DatasetError, match="not a dataset"):
        load_pool(tmp_path / "empty", mind, 2000, 0)
