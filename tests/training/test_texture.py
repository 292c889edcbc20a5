"""Roughness compared, not the position of every grain."""

import pytest
import torch

from ytm_training.learn.texture import texture_distance


@pytest.fixture
def rough():
    return 0.5 + 0.1 * torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))


def test_the_truth_is_at_no_distance(rough):
    assert texture_distance(rough, rough) == 0


def test_a_blur_is_farther_than_another_draw_of_the_same_roughness(rough):
    blur = torch.full_like(rough, 0.5)
    other = 0.5 + 0.1 * torch.randn(rough.shape, generator=torch.Generator().manual_seed(1))
    squared = torch.nn.functional.mse_loss
    assert squared(blur, rough) < 0.6 * squared(other, rough)
    assert texture_distance(other, rough) < 0.5 * texture_distance(blur, rough)


def test_brightness_does_not_count(rough):
    assert texture_distance(rough + 0.2, rough).item() == pytest.approx(0, abs=1e-6)


def test_it_teaches_a_blur_to_be_rough(rough):
    blur = (0.5 + 0.01 * torch.randn_like(rough)).requires_grad_()
    texture_distance(blur, rough).backward()
    assert blur.grad is not None
    rougher = blur - 10 * blur.grad
    assert texture_distance(rougher, rough) < texture_distance(blur, rough)
