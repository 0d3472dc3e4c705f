"""B1: specs, frames and figures on the tiny model."""

import pytest

from reproducer import load_params, study
from reproducer.experiments import attention as experiment
from reproducer.experiments.study import run
from reproducer.results.known import Known
from reproducer.results.store import Store
from reproducer.solver.arrangements import arrangement


def test_attention_to_e_includes_every_e(tiny):
    params = load_params("attention", "smoke", arrangement="[e m]x(N/2)", n_texts=1)
    (row,) = study(params).itertuples()
    roles = arrangement("[e m]x(N/2)").roles(params.n_tokens)
    uniform = [roles[: i + 1].count("e") / (i + 1) for i in range(len(roles))]
    assert row.uniform.tolist() == pytest.approx(uniform)
    shape = (tiny.config.num_hidden_layers, tiny.config.num_attention_heads, len(roles))
    assert row.to_e.shape == shape
    assert row.to_e[..., 0].min() == pytest.approx(1)


def test_rows_are_the_fits_whose_reading_is_known(tmp_path):
    params, known = load_params("attention", "smoke"), Known()
    assert study(params, compute=False).empty
    run(params, known)
    fits, readings = experiment.fits(params), experiment.readings(params)
    part = Store(tmp_path / "part")
    for spec in (*fits, readings[1]):
        part.put(known.get(spec))
    (row,) = study(params, compute=False, known=Known(part)).itertuples()
    assert row.text == fits[1].texts[0].id
    assert (row.to_e == known.get(readings[1]).arrays["to_e"]).all()
