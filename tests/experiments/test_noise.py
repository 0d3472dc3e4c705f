"""B2: specs and frames on the tiny model."""

import numpy as np
import pytest
import torch

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import noise as experiment
from reproducer.results.run import compute


def test_noise_of_zero_changes_nothing_and_all_draws_are_read():
    params = load_params("noise", "smoke")
    frame = study(params)
    clean = frame[frame["alpha"] == 0]
    np.testing.assert_allclose(clean["noisy_accuracy"], clean["accuracy"])
    assert len(frame) == 2 * 2 * 4 * len(params.alphas) * params.n_draws


def test_noise_reading_equals_the_library_model(tiny):
    params = load_params("noise", "smoke", n_texts=1)
    spec = next(s for s in experiment.readings(params) if s.token == "m")
    fit, reading = compute([spec.fit, spec], progress=False)
    rows = torch.from_numpy(fit.arrays["rows"])
    problem, tables = spec.fit.problem(tiny), spec._tables(rows)
    logits = tiny.hf(inputs_embeds=tables[:, problem.index[0]]).logits[:, problem.offset :]
    expected = (logits.argmax(-1) == problem.targets).float().mean(1)
    assert reading.arrays["accuracy"].flatten().tolist() == expected.tolist()
    moved = (tables - rows).norm(dim=-1).view(len(spec.alphas), -1, 2)
    assert moved[..., 0].max() == 0 and moved[1:, :, 1].min() > 0


def test_unknown_noise():
    with pytest.raises(ReproducerError, match="parameter noises.0 of 'noise'"):
        load_params("noise", "smoke", noises=("gausian",))
