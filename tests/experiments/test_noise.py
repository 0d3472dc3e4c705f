"""B2: specs and frames on the tiny model; measures and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest
import torch

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import noise as experiment
from reproducer.readings.noise import NOISES
from reproducer.results.run import compute
from tests.experiments.frames import answers_any_part_of, fit_columns, words


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


ALPHAS = tuple(k / 40 for k in range(41))


def planted(left, n=24, draws=3, alphas=ALPHAS, noise=0.02, seed=0):
    """Paths whose share of the accuracy left is `left(text, kind, alpha)`, and some noise."""
    draw = np.random.default_rng(seed)
    rows = []
    for text in range(n):
        for kind in NOISES:
            for d in range(draws):
                for alpha in alphas:
                    value = left(text, kind, alpha) + (alpha > 0) * draw.normal(0, noise)
                    rows.append(
                        fit_columns(
                            text=f"t{text}",
                            token="e",
                            noise=kind,
                            draw=d,
                            alpha=alpha,
                            noisy_accuracy=0.8 * float(np.clip(value, 0, 1)),
                            accuracy=0.8,
                            min_accuracy=0.8,
                        )
                    )
    return pd.DataFrame(rows)


def gradual(text, kind, alpha):
    return 1 - alpha


def cliff(text, kind, alpha):
    return float(alpha < 0.02 * (text + 1))


def some_cliffs(text, kind, alpha):
    return (cliff if text % 4 == 0 else gradual)(text, kind, alpha)


@pytest.mark.parametrize(
    "left, word",
    [(gradual, "reproduced"), (cliff, "contradicted"), (some_cliffs, "inconclusive")],
)
def test_smooth(left, word):
    df = planted(left)
    assert words(experiment, df)["B2.smooth"] == word
    # In the mean over paths nothing is lost at once, whichever it is.
    means = experiment.paths(df, "e").mean()
    assert -means.diff().min() < 0.2


def unlike(by):
    return lambda text, kind, alpha: max(0.0, 1 - alpha - by * (kind == "uniform") * alpha)


@pytest.mark.parametrize(
    "by, noise, word",
    [(0.0, 0.05, "reproduced"), (1.5, 0.05, "contradicted"), (0.25, 0.4, "inconclusive")],
)
def test_alike(by, noise, word):
    verdict = experiment.claims(planted(unlike(by), noise=noise))[1]
    assert (verdict.id, verdict.verdict) == ("B2.alike", word)
    assert verdict.parts and all("is left" in part for part in verdict.parts)


def test_likeness_is_asked_where_there_is_room_for_it():
    verdict = experiment.claims(planted(lambda text, kind, alpha: (1 - alpha) ** 2, noise=0.05))[1]
    places = [part.split(": ")[0] for part in verdict.parts]
    assert places == [
        "where 0.75 is left, α = 0.125",
        "where 0.5 is left, α = 0.3",
        "where 0.25 is left, α = 0.5",
    ]


@pytest.mark.parametrize(
    "alphas",
    [
        (0.0, 0.25, 0.5, 0.75, 1.0),
        experiment.PAPERS_ALPHAS,  # two narrow steps say nothing of the wide ones
        (*ALPHAS[:-4], 1.0),
        (0.0, *ALPHAS[4:]),
    ],
)
def test_one_wide_step_tests_nothing(alphas):
    df = planted(cliff, n=12, draws=1, alphas=alphas)
    verdict = experiment.claims(df)[0]
    assert verdict.verdict == "not tested here" and "steps of α all 0.05" in verdict.needs
    assert verdict.ours is verdict.low is verdict.high is None and verdict.n == 0
    assert set(experiment.table(df)["cliffs"]) == {"–"}


def test_steps_of_just_that_width_are_narrow_enough():
    df = planted(gradual, alphas=tuple(k / 20 for k in range(21)))
    assert words(experiment, df)["B2.smooth"] == "reproduced"
    assert experiment.table(df)["cliffs"].iloc[0] == "0.00"


def test_paths_that_lack_an_alpha_are_left_out():
    df = planted(gradual, n=12, draws=1)
    hidden = (df["text"] == "t0") & (df["alpha"] == 0.5)
    losses = experiment.largest_losses(experiment.paths(df[~hidden], "e"))
    assert set(losses.index.unique("text")) == set(df["text"]) - {"t0"}


def test_largest_loss_is_that_of_a_loop_over_windows():
    draw = np.random.default_rng(3)
    alphas = (0.0, 0.02, 0.05, 0.1, 0.15)
    left = pd.DataFrame(draw.random((6, 5)), columns=alphas)
    for row, loss in zip(left.to_numpy(), experiment.largest_losses(left), strict=True):
        windows = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)]
        assert loss == pytest.approx(max(row[i] - row[j] for i, j in windows))


def test_what_cannot_be_tested():
    assert experiment.claims(pd.DataFrame()) == []
    df = planted(gradual, n=2)
    assert {v.verdict for v in experiment.claims(df.assign(model="tiny"))} == {"not tested here"}
    without = df[df["noise"] != "uniform"]
    assert "all four kinds" in experiment.claims(without)[1].needs
    assert set(words(experiment, df.assign(token="m")).values()) == {"not tested here"}


def test_any_part_of_the_results_is_shown():
    answers_any_part_of(experiment, planted(gradual, n=3, draws=1, alphas=(0, 0.05, 0.1, 1)))
    both = pd.concat([planted(gradual, n=3), planted(cliff, n=3).assign(token="m")])
    assert len(experiment.table(both)) == 10 and len(experiment.figure(both).axes) == 2


def test_alphas_ascend_from_zero():
    for alphas in ((0.1, 0.2), (0.0, 0.2, 0.1)):
        with pytest.raises(ReproducerError, match="ascend from 0"):
            load_params("noise", "smoke", alphas=alphas)
