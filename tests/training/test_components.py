"""Principal components against the decomposition that defines them."""

import pytest
import torch

from ytm_training.models.components import principal_components


@pytest.mark.parametrize(("n", "v"), [(40, 9), (9, 40), (12, 12)])
def test_they_are_those_of_the_singular_value_decomposition(n, v):
    samples = torch.randn(n, v, generator=torch.Generator().manual_seed(0)) @ torch.randn(v, v) + 3
    mean, basis, deviation = principal_components(samples, 5)
    _, spread, expected = torch.linalg.svd(samples - samples.mean(0), full_matrices=False)
    assert torch.allclose(mean, samples.mean(0))
    assert torch.allclose(deviation, spread[:5] / (n - 1) ** 0.5, rtol=1e-3)
    assert torch.allclose((basis @ expected[:5].T).abs(), torch.eye(5), atol=2e-3)


def test_what_does_not_vary_has_no_component():
    flat = torch.zeros(20, 6)
    flat[:, 2] = torch.arange(20.0)
    mean, basis, deviation = principal_components(flat, 4)
    assert basis.abs().tolist() == [[0, 0, 1, 0, 0, 0]]
    assert deviation.item() == pytest.approx(flat[:, 2].std().item())
    assert mean[2] == 9.5
