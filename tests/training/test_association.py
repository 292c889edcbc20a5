"""The bridge, the flow over it and its pupil, and the labels that may help."""

import math

import numpy as np
import pytest
import torch

from ytm_training.learn.batches import generator_for
from ytm_training.learn.labels import UNKNOWN, clusters_of, labels_of
from ytm_training.models.bridge import Bridge, Embedding, contrast
from ytm_training.models.flow import Flow, FlowAssociator, FlowShape

SHAPE = FlowShape(latent_size=6, embedding_size=4, hidden=16, layers=2, temperature=0.5)


def test_points_of_the_bridge_have_one_length():
    embedding = Embedding(6, 4).eval()
    lengths = embedding(100 * torch.randn(50, 6)).norm(dim=1).detach()
    assert lengths == pytest.approx(torch.full((50,), 2.0), rel=1e-5)


def test_contrast_is_least_for_those_who_choose_their_partner():
    unknown = torch.full((5,), UNKNOWN)
    sure = contrast(50 * torch.eye(5), unknown, 0.5).item()
    assert sure == pytest.approx(0, abs=1e-4)
    assert contrast(torch.zeros(5, 5), unknown, 0.5).item() == pytest.approx(math.log(5))
    assert contrast(50 * torch.eye(5).roll(1, 0), unknown, 0.5) > 40


def test_a_label_draws_to_all_who_share_it():
    labels = torch.tensor([0, 0, 1, UNKNOWN])
    to_all = 20.0 * ((labels[:, None] == labels) & (labels >= 0) | torch.eye(4, dtype=torch.bool))
    # Whoever shares a label gets half of the choice from the partner and half from all of them.
    assert contrast(to_all, labels, 0.0).item() == pytest.approx(math.log(2) / 2, abs=1e-4)
    assert contrast(to_all, labels, 1.0).item() == pytest.approx(math.log(2) / 2, abs=1e-4)
    only_own = 20.0 * torch.eye(4)
    assert contrast(only_own, labels, 1.0) > contrast(to_all, labels, 1.0)
    assert contrast(only_own, labels, 0.0) < contrast(to_all, labels, 0.0)


def test_likeness_compares_every_picture_with_every_sound():
    bridge = Bridge(6, 4).eval()
    seen, heard = torch.randn(2, 7, 6)
    likeness = bridge.likeness(seen, heard)
    cosine = torch.nn.functional.cosine_similarity(bridge.seen(seen[2:3]), bridge.heard(heard[5:6]))
    assert likeness.shape == (7, 7)
    assert likeness[2, 5].item() == pytest.approx(cosine.item() / 0.1, rel=1e-4)


class _Straight(Flow):
    """A flow whose velocity is known: towards the first components of the point, or to zero."""

    def forward(self, x, time, point):
        towards = torch.nn.functional.pad(point, (0, 2))
        return (towards - x) / (1 - time).clamp_min(1e-3)


def test_a_straight_flow_arrives_at_its_end():
    noise, point = torch.randn(8, 6), torch.randn(8, 4)
    end = torch.nn.functional.pad(point, (0, 2))
    arrived = _Straight(SHAPE).arrive(noise, point, guidance=0, steps=8)
    begun = SHAPE.temperature * noise
    assert (arrived - end).norm() < 0.15 * (begun - end).norm()


def test_guidance_goes_beyond_the_point():
    noise, point = torch.zeros(8, 6), torch.randn(8, 4)
    flow = _Straight(SHAPE)
    plain = flow.arrive(noise, point, guidance=0, steps=16)
    far = flow.arrive(noise, point, guidance=1, steps=16)
    assert far.norm() > 1.2 * plain.norm()
    assert torch.cosine_similarity(far, plain).min() > 0.99


@pytest.fixture
def associator():
    torch.manual_seed(0)
    pupil = FlowAssociator(SHAPE, Embedding(6, 4)).eval()
    source = 3 + 2 * torch.randn(500, 6)
    pupil.embedding.scale.learn(source)
    pupil.target.learn(5 * torch.randn(500, 6))
    pupil.learn_own_noise(source, generator_for(0, "own noise", 0))
    return pupil, source


def test_a_picture_brings_noise_of_its_own(associator):
    pupil, source = associator
    own = pupil.embedding.scale(source) @ pupil.own
    assert own.std(0, correction=0) == pytest.approx(torch.ones(6), rel=1e-4)
    with torch.no_grad():
        answers = pupil(source)
        assert torch.equal(pupil(source, torch.zeros_like(source)), answers)
        assert not torch.allclose(pupil(source, torch.ones_like(source)), answers)
        undone = pupil(source, -own)  # nothing but the point is left
    point = pupil.embedding(source)
    expected = pupil.target.undo(pupil.answer(torch.zeros_like(source), point))
    assert torch.allclose(undone, expected, atol=1e-4)


def test_the_embedding_of_a_pupil_is_not_taught(associator):
    pupil, source = associator
    pupil(source).sum().backward()
    assert all(parameter.grad is None for parameter in pupil.embedding.parameters())
    assert all(parameter.grad is not None for parameter in pupil.layers.parameters())


def test_labels_number_the_categories():
    assert labels_of(["dog", None, "cat", "dog", ""]).tolist() == [1, UNKNOWN, 0, 1, UNKNOWN]


def test_clusters_are_found_in_both_senses():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 96)
    seen = torch.from_numpy(rng.normal(size=(96, 4)) + 20 * kind[:, None]).float()
    heard = torch.from_numpy(rng.normal(size=(96, 4)) - 20 * kind[:, None]).float()
    train = torch.arange(48)
    found = clusters_of(seen, heard, train, 0).numpy()
    assert len(set(zip(kind, found, strict=True))) == 2
    assert np.array_equal(found, clusters_of(seen, heard, train, 0).numpy())
