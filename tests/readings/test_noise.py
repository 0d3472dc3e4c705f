"""Noise: scaled as stated, of the stated kind, reproducible."""

import math

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.readings.noise import NOISES, halving_alpha
from reproducer.readings.noise_vectors import NOISES as DRAWN
from reproducer.readings.noise_vectors import noise_direction, perturbed


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("alpha", [0.0, 0.05, 1.0])
def test_noise_has_the_stated_ratio(kind, alpha):
    vector = 3 * torch.randn(64)
    noisy = perturbed(vector, noise_direction(kind, 64, "x"), alpha)
    assert (noisy - vector).norm().item() == pytest.approx(alpha * vector.norm().item(), abs=1e-4)


@pytest.mark.parametrize("kind", NOISES)
def test_a_draw_depends_on_its_label_alone(kind):
    first = noise_direction(kind, 64, "text", "0")
    torch.manual_seed(99)
    assert torch.equal(first, noise_direction(kind, 64, "text", "0"))
    assert not torch.equal(first, noise_direction(kind, 64, "text", "1"))


def test_kinds_are_what_they_are_called():
    d = 4096
    exponential = noise_direction("exponential", d, "x")
    assert exponential.min() >= 0
    uniform = noise_direction("uniform", d, "x")
    # A uniform variable reaches √3 standard deviations and no further.
    assert uniform.abs().max().item() == pytest.approx(math.sqrt(3 / d), rel=0.05)
    spectrum = torch.fft.rfft(noise_direction("sinusoidal", d, "x")).abs()
    assert spectrum.max() ** 2 / (spectrum**2).sum() > 0.99
    gaussian = noise_direction("gaussian", d, "x") * math.sqrt(d)
    assert (gaussian**4).mean().item() == pytest.approx(3, abs=0.5)


def test_unknown_noise_and_negative_alpha():
    with pytest.raises(ReproducerError, match="did you mean 'gaussian'"):
        noise_direction("gausian", 8, "x")
    with pytest.raises(ReproducerError, match="at least 0, got -1"):
        perturbed(torch.ones(8), torch.ones(8), -1)


def test_halving():
    assert halving_alpha([0, 1, 2], [1.0, 0.75, 0.25]) == pytest.approx(1.5)
    assert halving_alpha([0, 1, 2], [0.8, 0.4, 0.0]) == 1
    assert halving_alpha([0, 1], [1.0, 0.6]) == math.inf


def test_every_kind_that_can_be_asked_for_can_be_drawn():
    assert tuple(DRAWN) == NOISES
