"""The networks: shapes, the linear path, the code, the associator's scale."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ytm_training.learn.config import CONTINUOUS, PAPER
from ytm_training.models.associator import AssociatorShape, VariationalAssociator
from ytm_training.models.vae import Code, Unfold, Vae, VaeShape

SMALL = VaeShape((3, 16, 16), (4, 8), ((2, 2), (2, 2)), 4, 6, (2, 2))


@pytest.mark.parametrize("config", [CONTINUOUS, PAPER], ids=lambda config: config.preset)
def test_presets_make_networks_that_return_what_they_are_given(config):
    size, sound = config.picture.size, config.sound
    for vae, shape in (
        (config.image_vae, (3, size, size)),
        (config.sound_vae, (1, sound.n_mels, sound.frames)),
    ):
        network = Vae(vae.shape(shape, config.latent_size)).eval()
        with torch.no_grad():
            code = network.encoder(torch.rand(2, *shape))
            assert code.mean.shape == code.log_variance.shape == (2, config.latent_size)
            assert network.decoder(code.mean).shape == (2, *shape)


def test_presets_have_the_published_frames():
    assert PAPER.sound.frames == 9
    assert CONTINUOUS.sound.frames == 188


@given(
    height=st.integers(9, 40),
    width=st.integers(9, 40),
    strides=st.lists(st.sampled_from([(1, 2), (2, 1), (2, 2), (2, 3)]), min_size=2, max_size=2),
)
@settings(max_examples=20, deadline=None)
def test_any_size_comes_back_whole(height, width, strides):
    shape = VaeShape((1, height, width), (2, 3), tuple(strides), 2, 4)
    network = Vae(shape).eval()
    x = torch.rand(2, 1, height, width)
    assert network.decoder(network.encoder(x).mean).shape == x.shape


def test_unfold_is_the_inverse_of_pixel_unshuffle():
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(Unfold((2, 2))(functional.pixel_unshuffle(x, 2)), x)


def test_unfold_places_channels_row_by_row():
    x = torch.arange(6.0).view(1, 6, 1, 1)
    expected = torch.tensor([[0.0, 1, 2], [3, 4, 5]])
    assert torch.equal(Unfold((2, 3))(x)[0, 0], expected)


def test_a_vae_with_a_linear_path_begins_at_the_principal_components():
    torch.manual_seed(0)
    basis = torch.randn(4, 3, 8, 8)
    weights = torch.randn(50, 4)
    coarse = 0.5 + 0.1 * torch.einsum("nk,kchw->nchw", weights, basis)
    samples = functional.interpolate(coarse, scale_factor=2, mode="nearest")
    network = Vae(SMALL).eval()
    network.begin_at_principal_components(samples)
    with torch.no_grad():
        latent = network.encoder(samples).mean
        rebuilt = functional.avg_pool2d(network.decoder(latent), 2)
    # Four components explain everything but what bilinear enlargement smears over its neighbours.
    assert latent[:, :4].std(0) == pytest.approx(torch.ones(4), abs=0.05)
    smeared = functional.avg_pool2d(
        functional.interpolate(coarse, scale_factor=2, mode="bilinear"), 2
    )
    assert (rebuilt - smeared).abs().max() < 0.02


@torch.no_grad()
def test_a_vae_without_one_begins_without_a_grid():
    torch.manual_seed(0)
    network = Vae(VaeShape((3, 16, 16), (4, 8), ((2, 2), (2, 2)), 4, 6)).eval()
    network.decoder.last.bias.zero_()
    picture = network.decoder(torch.randn(1, 6))
    assert picture.std() > 1e-3
    assert picture[..., ::2, ::2].numpy() == pytest.approx(picture[..., 1::2, 1::2].numpy())


def test_principal_components_need_a_linear_path():
    shape = VaeShape((3, 16, 16), (4, 8), ((2, 2), (2, 2)), 4, 6)
    with pytest.raises(ValueError, match="no linear path"):
        Vae(shape).begin_at_principal_components(torch.rand(4, 3, 16, 16))


def test_divergence_has_known_values():
    zero = Code(torch.zeros(1, 3), torch.zeros(1, 3))
    assert zero.divergence().item() == 0
    moved = Code(torch.tensor([[1.0, 2.0, 0.0]]), torch.zeros(1, 3))
    assert moved.divergence().item() == pytest.approx(2.5 / 3)


def test_samples_of_a_code_have_its_mean_and_variance():
    code = Code(
        torch.full((20000, 1), 3.0), torch.full((20000, 1), 2 * torch.log(torch.tensor(0.5)))
    )
    drawn = code.sample(torch.Generator().manual_seed(0))
    assert drawn.mean().item() == pytest.approx(3, abs=0.02)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.02)


def test_associator_standardises_both_senses():
    associator = VariationalAssociator(AssociatorShape(4, 8, 1))
    source, target = 5 + 3 * torch.randn(100, 4), -2 + 0.1 * torch.randn(100, 4)
    associator.standardise(source, target)
    scaled = associator.target(target)
    assert scaled.mean(0) == pytest.approx(torch.zeros(4), abs=1e-4)
    assert scaled.std(0, correction=0) == pytest.approx(torch.ones(4), abs=1e-4)
    with torch.no_grad():
        assert associator(source).shape == (100, 4)
