"""B1: specs and frames on the tiny model; measures and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reproducer import load_params, study
from reproducer.experiments import attention as experiment
from reproducer.experiments.study import run
from reproducer.results.known import Known
from reproducer.results.store import Store
from reproducer.solver.arrangements import arrangement
from tests.experiments.frames import answers_any_part_of, fit_columns, words


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


def planted(beyond, level=0.0, noise=0.02, n=12, ordinary=0.3, seed=0):
    """`e` gets `beyond` more fall than either reference, and `level` more attention.

    Attention falls in one step in the middle, which both ways of cutting positions see alike.
    """
    draw, even = np.random.default_rng(seed), 1 / np.arange(1, 18)

    def falling(n_inputs, fall, mean):
        step = np.where(np.arange(n_inputs) < 8, 0.5, -0.5) * fall
        shares = np.broadcast_to(mean + step, (2, 3, n_inputs)).copy()
        shares[..., 0] = 1
        return shares

    rows = []
    for i in range(n):
        fall = max(ordinary, experiment._fall(even)) + beyond + draw.normal(0, noise)
        rows.append(
            fit_columns(
                text=f"t{i}",
                to_e=falling(17, fall, 0.5 + level + draw.normal(0, noise)),
                to_first=falling(16, ordinary, 0.5),
                uniform=even,
            )
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "beyond, noise, word",
    [(0.15, 0.02, "reproduced"), (-0.1, 0.02, "contradicted"), (0.06, 0.2, "inconclusive")],
)
def test_early(beyond, noise, word):
    assert words(experiment, planted(beyond, noise=noise))["B1.early"] == word


@pytest.mark.parametrize(
    "level, noise, word",
    [(0.15, 0.02, "holds"), (-0.15, 0.02, "does not hold"), (0.06, 0.2, "inconclusive")],
)
def test_level(level, noise, word):
    assert words(experiment, planted(0.0, level, noise))["B1.sink"] == word


def test_even_attention_is_not_a_finding():
    df = planted(0.0)
    scales = np.linspace(0.97, 1.03, len(df))
    df["to_e"] = [
        np.broadcast_to(scale * even, (2, 3, 17))
        for scale, even in zip(scales, df["uniform"], strict=True)
    ]
    assert experiment.effects(df)["fall"].mean() == pytest.approx(0.256, abs=0.001)
    assert words(experiment, df)["B1.early"] == "contradicted"


def test_both_references_count():
    """A fall beyond even attention alone, and one beyond the ordinary first token alone."""
    steeper = planted(-0.25, ordinary=0.6)
    assert words(experiment, steeper)["B1.early"] == "partly"
    flat = planted(0.0, ordinary=0.1)
    verdict = next(v for v in experiment.claims(flat) if v.id == "B1.early")
    assert verdict.verdict == "partly" and "even attention" in verdict.parts[0]


def test_effects_are_means_over_layers_heads_and_positions():
    df, draw = planted(0.1), np.random.default_rng(5)
    df["to_e"] = [draw.random((2, 3, 17)) for _ in range(len(df))]
    row, of = df.iloc[3], experiment.effects(df).iloc[3]
    early = np.mean([row.to_e[a, b, p] for a in range(2) for b in range(3) for p in (1, 2, 3, 4)])
    late = np.mean([row.to_e[a, b, p] for a in range(2) for b in range(3) for p in range(13, 17)])
    assert of["fall"] == pytest.approx(early - late)
    assert of["even"] == pytest.approx(sum(1 / k for k in (2, 3, 4, 5)) / 4 - 0.0645, abs=1e-3)
    short = row.to_e[..., :16]
    expected = short[..., [1, 2, 3]].mean() - short[..., [13, 14, 15]].mean()
    assert of["fall_in_text"] == pytest.approx(expected)
    assert of["level"] == pytest.approx(row.to_e[..., 1:16].mean())
    assert of["ordinary_level"] == pytest.approx(row.to_first[..., 1:].mean())


def test_what_cannot_be_tested():
    assert experiment.claims(pd.DataFrame()) == []
    short = planted(0.15).assign(n_tokens=8)
    assert set(words(experiment, short).values()) == {"not tested here"}
    tiny = planted(0.15).assign(model="tiny")
    assert {v.needs for v in experiment.claims(tiny)} == {"a trained model"}
    second = planted(0.15)
    second["uniform"] = [np.r_[0, u[1:]] for u in second["uniform"]]
    assert "first place" in experiment.claims(second)[0].needs
    assert experiment.claims(planted(0.15).assign(accuracy=0.9))[0].n == 0


def test_any_part_of_the_results_is_shown():
    answers_any_part_of(experiment, planted(0.1))
    for name in ("heatmap_figure", "head_figure"):
        assert isinstance(getattr(experiment, name)(planted(0.1)), Figure)
        assert isinstance(getattr(experiment, name)(planted(0.1).assign(accuracy=0)), Figure)


def test_one_token_has_no_fall():
    of = experiment.effects(study(load_params("attention", "smoke", n_tokens=1, n_texts=1)))
    assert of[["fall", "ordinary", "level"]].isna().all(axis=None)
