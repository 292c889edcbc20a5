"""The figures of ytm-evaluate against known answers: perfect, constant, shuffled, shifted."""

import numpy as np
import pytest

from small_mind import AverageMind, PerfectMind, small_pool
from ytm_training.evaluation import classes
from ytm_training.evaluation.attributes import band_centres_hz, pearson, spearman
from ytm_training.evaluation.baselines import components, nearest, ridge
from ytm_training.evaluation.classes import partners
from ytm_training.evaluation.distinctness import Spread, camera_copies, mel_edges
from ytm_training.evaluation.evidence import gather
from ytm_training.evaluation.features import colour_histogram, mean_colour, thumbnails
from ytm_training.evaluation.folds import Folds, source_parts
from ytm_training.evaluation.frechet import frechet_distance
from ytm_training.evaluation.intervals import Resampling
from ytm_training.evaluation.measure import measure
from ytm_training.evaluation.probe import train_probe
from ytm_training.evaluation.retrieval import Retrieval

RNG = np.random.default_rng(0)


def sources(count, per_source=4):
    return np.array([f"video{row // per_source}" for row in range(count)], object)


def quiet(_name):
    """Nobody is told."""


# Retrieval.


def test_perfect_answers_rank_first():
    truths = RNG.normal(size=(40, 5))
    scores = Retrieval(truths, sources(40), 0).scores(truths)
    assert scores["median_rank"].value == 1
    for name, estimate in scores.items():
        if name != "median_rank":
            assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1)


@pytest.mark.parametrize("per_source", [1, 4, 7])
@pytest.mark.parametrize("doubled", [False, True], ids=["all differ", "some are the same"])
def test_one_answer_to_all_is_at_chance_exactly(per_source, doubled):
    truths = RNG.normal(size=(40, 5))
    if doubled:
        truths[20:] = truths[:20]
    retrieval = Retrieval(truths, sources(40, per_source), 0)
    chance = retrieval.chance()
    for constant in (truths.mean(0, keepdims=True), truths[:1], np.full((1, 5), 99.0)):
        for name, estimate in retrieval.scores(constant).items():
            if not name.startswith("any_"):
                assert estimate.value == pytest.approx(chance[name].value), name
    assert chance["r_at_5"].value == pytest.approx(5 / 40)


def test_all_equally_far_is_any_order():
    truths = np.concatenate([np.eye(4), np.eye(4)])
    chance = Retrieval(truths, sources(8, 2), 0).chance()
    assert chance["r_at_1"].value == pytest.approx(1 / 8)
    assert chance["source_r_at_1"].value == pytest.approx(1 / 4)
    # Two of eight are of the own video: 1 - (6 * 5 * 4 * 3 * 2) / (8 * 7 * 6 * 5 * 4).
    assert chance["any_r_at_5"].value == pytest.approx(1 - 3 * 2 / (8 * 7))
    assert chance["mrr"].value == pytest.approx(sum(1 / rank for rank in range(1, 9)) / 8)


def test_shuffled_pairs_of_perfect_answers_are_at_chance():
    truths = RNG.normal(size=(200, 5))
    retrieval = Retrieval(truths, sources(200), 0)
    shuffled, chance = retrieval.shuffled(truths), retrieval.chance()
    for name, estimate in shuffled.items():
        assert estimate.low <= chance[name].value <= estimate.high, name


# Intervals.


def test_the_interval_of_a_mean_covers_as_often_as_it_says():
    covered = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        of_source = np.repeat(rng.normal(size=50), 4)
        estimate = Resampling(sources(200), 0).mean(of_source + 0.1 * rng.normal(size=200))
        covered += estimate.low <= 0 <= estimate.high
    assert 178 <= covered <= 198


def test_few_sources_are_resampled_by_segment():
    assert Resampling(sources(16), 0).unit == "segments"
    assert Resampling(sources(20), 0).unit == "sources"
    values = np.arange(16.0)
    estimate = Resampling(sources(16), 0).mean(values)
    assert estimate.low < estimate.value == 7.5 < estimate.high


def test_both_ways_to_resample_agree():
    resampling, values = Resampling(sources(80), 3), RNG.normal(size=80)
    quick, slow = resampling.mean(values), resampling.of_rows(lambda rows: values[rows].mean())
    assert quick.value == pytest.approx(slow.value)
    assert quick.low == pytest.approx(slow.low, abs=0.05)


def test_what_is_not_a_number_does_not_count():
    assert Resampling(sources(4), 0).mean(np.array([1, np.nan, 3, np.nan])).value == 2


# Distinctness, attributes, distributions.


def test_variance_is_that_of_numpy():
    vectors = RNG.normal(size=(60, 7)).astype(np.float32)
    resampling = Resampling(sources(60), 0)
    once = np.ones((1, len(resampling.counts)))
    spread = Spread(vectors, resampling)
    assert spread.total(once)[0] == pytest.approx(vectors.var(0).mean(), rel=1e-5)
    means = vectors.reshape(15, 4, 7).mean(1)
    assert spread.between(once)[0] == pytest.approx(means.var(0).mean(), rel=1e-5)
    twice = once.copy()
    twice[0, 3] = 2
    repeated = np.concatenate([vectors, vectors[resampling.group == 3]])
    assert spread.total(twice)[0] == pytest.approx(repeated.var(0).mean(), rel=1e-5)


def test_edges_scale_with_contrast():
    mels = RNG.random((3, 8, 9)).astype(np.float32)
    assert mel_edges(0.5 * mels) == pytest.approx(0.5 * mel_edges(mels), rel=1e-5)
    assert mel_edges(np.full((1, 8, 9), 0.4, np.float32)) == 0


def test_a_camera_changes_a_picture_little():
    picture = np.full((20, 30, 3), 100, np.uint8)
    copies = camera_copies(picture, 50, np.random.default_rng(0))
    assert copies.shape == (50, 20, 30, 3)
    assert np.abs(copies.mean((1, 2, 3)) - 100).max() <= 5.5
    assert copies.std(axis=(1, 2, 3)).mean() == pytest.approx(2, abs=0.1)


def test_frechet_distance_of_gaussians_is_the_closed_form():
    one = RNG.normal(size=(20000, 3)) * [1, 2, 3]
    other = RNG.normal(size=(20000, 3)) * [2, 2, 1] + [1, 0, -2]
    wanted = (1 + 4) + (1 - 2) ** 2 + (3 - 1) ** 2
    assert frechet_distance(one, other) == pytest.approx(wanted, rel=0.05)
    assert frechet_distance(one, one + np.array([0, 3, 0])) == pytest.approx(9, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_correlation_with_a_constant_is_none():
    values = RNG.normal(size=50)
    assert pearson(values, 3 - 2 * values) == pytest.approx(-1)
    assert spearman(np.exp(values), values) == pytest.approx(1)
    assert pearson(np.full(50, 0.1), values) == spearman(values, np.full(50, 7.0)) == 0


def test_bands_lie_in_order():
    mind = PerfectMind(small_pool(0, 9))
    centres = band_centres_hz(mind.matrices(), mind.sound)
    assert (np.diff(centres) > 0).all()
    assert 0 < centres[0] < centres[-1] < 24000


# What stands beside.


def test_ridge_finds_a_line_and_no_more():
    x = RNG.normal(size=(200, 3))
    weights = np.array([[1.0], [-2.0], [0.0]])
    names = sources(200)
    found = ridge(x, x @ weights + 5, names, np.eye(3))
    assert found[:, 0] == pytest.approx([6, 3, 5], abs=0.05)
    noise = ridge(x, RNG.normal(size=(200, 1)), names, RNG.normal(size=(50, 3)))
    assert np.abs(noise).max() < 0.5


def test_nearest_and_components():
    x = RNG.normal(size=(30, 4))
    assert (nearest(x, x + 1e-6) == np.arange(30)).all()
    known, unseen = components(x, x, 4)
    assert ((known**2).sum(1)) == pytest.approx(((x - x.mean(0)) ** 2).sum(1))
    assert unseen == pytest.approx(known)


def test_features_of_plain_pictures():
    picture = np.zeros((1, 33, 47, 3), np.uint8) + np.array([255, 0, 102], np.uint8)
    assert thumbnails(picture, 4).reshape(16, 3) == pytest.approx(np.tile([1, 0, 0.4], (16, 1)))
    assert mean_colour(picture)[0] == pytest.approx([1, 0, 0.4])
    histogram = colour_histogram(picture)[0]
    assert histogram[3 * 16 + 1] == histogram.sum() == 1


def test_without_known_rows_every_source_is_predicted_from_the_others():
    pool = small_pool(0, 42)
    folds = Folds.of(pool, 0)
    assert len(folds.folds) == 5
    for fold in folds.folds:
        assert not set(pool.rows.sources[fold.fit]) & set(pool.rows.sources[fold.apply])
    applied = folds.predict(lambda fit, apply: apply[:, None])
    assert applied[:, 0].tolist() == list(range(42))
    assert set(source_parts(sources(8), 5, 0)) == {0, 1}
    assert Folds.of(small_pool(0, 3), 0).predict(lambda fit, apply: apply) is None


def test_a_probe_learns_what_can_be_known():
    pool = small_pool(60, 30)
    wanted = np.array([classes_of(pool).index(each) for each in pool.rows.categories])
    probe = train_probe(
        pool.rows.mels[pool.known], wanted[pool.known], pool.rows.sources[pool.known], 60, 0
    )
    assert (probe.classes(pool.rows.mels[pool.unseen]) == wanted[pool.unseen]).mean() > 0.9


def classes_of(pool):
    return sorted(set(pool.rows.categories))


def test_partners_are_of_another_class():
    each = RNG.integers(0, 3, 50)
    paired = partners(each, 0)
    assert sorted(paired) == list(range(50))
    assert (each[paired] != each).all()


# Whole minds.


@pytest.fixture(scope="module")
def pool():
    return small_pool(60, 36)


@pytest.fixture(scope="module")
def figures(pool):
    """All figures of both minds, by key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes, "_STEPS", 60)
        patch.setattr(classes, "_LEAST_STEPS", 60)
        return {
            mind.name: {each.key: each for each in measure(gather(mind, pool, 0), quiet)}
            for mind in (PerfectMind(pool), AverageMind(pool))
        }


def test_a_perfect_mind_has_perfect_figures(figures):
    found = {key: figure.found.value for key, figure in figures["perfect"].items()}
    for direction in ("image_to_sound.mel", "image_to_sound.latent", "sound_to_image.picture"):
        assert found[f"{direction}.r_at_1"] == found[f"{direction}.source_r_at_1"] == 1
    for name in ("sound_variance_total", "sound_variance_between", "sound_sharpness"):
        assert found[f"distinctness.{name}"] == pytest.approx(1, rel=1e-4)
    assert found["distinctness.unsteadiness"] == pytest.approx(0, abs=1e-9)
    for name in ("loudness", "pitch", "centroid", "flatness"):
        assert found[f"attributes.{name}_pearson"] == pytest.approx(1)
        assert found[f"attributes.{name}_median_error"] == 0
    assert found["frechet.sound"] == pytest.approx(0, abs=1e-3)
    assert found["fidelity.picture_edges"] == 1
    assert found["fidelity.sound_error_made"] == 0
    made = figures["perfect"]["classes.sound_made"]
    assert made.found == made.beside["real"]
    assert made.found.value > 0.9
    assert found["mixture.0_as_picture"] == found["mixture.100_as_sound"] > 0.9
    assert found["mixture.100_as_picture"] < 0.1


def test_a_constant_mind_is_at_chance_everywhere(figures):
    for key, figure in figures["average"].items():
        agreement = key.startswith(("image_to_sound", "sound_to_image", "classes"))
        if agreement and ".any_" not in key:
            assert figure.found.value == pytest.approx(figure.beside["chance"].value), key
        if key.endswith(("_pearson", "_spearman")):
            assert figure.found.value == 0
    found = {key: figure.found.value for key, figure in figures["average"].items()}
    assert found["distinctness.sound_variance_total"] == pytest.approx(0, abs=1e-6)
    assert found["frechet.sound"] > figures["perfect"]["frechet.sound"].beside["known"].value


def test_averages_beside_are_at_chance_and_shuffled_pairs_near_it(figures):
    for key, figure in figures["perfect"].items():
        if {"chance", "average", "shuffled"} <= figure.beside.keys():
            chance = figure.beside["chance"].value
            assert figure.beside["average"].value == pytest.approx(chance), key
            assert figure.beside["shuffled"].low <= chance <= figure.beside["shuffled"].high, key


def test_every_figure_says_what_it_is(figures):
    for figure in figures["perfect"].values():
        stated = figure.as_json()
        assert len(stated["definition"]) > 30
        assert stated["rows"] > 0
        assert stated["value"] is not None, figure.key
