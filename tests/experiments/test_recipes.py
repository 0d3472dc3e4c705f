"""Recipes: first steps, censored texts, and a verdict on frames with a known answer."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import recipes as experiment
from tests.experiments.checks import answers_on_subsets, words

BUDGET = 1000


def frame(slow, fast, n_texts=32, model="smollm2-135m"):
    """A frame as `rows` gives; `slow` and `fast` map a text to its first step, None for never."""
    rows = []
    for name, first in (("paper", slow), ("fast", fast)):
        for i in range(n_texts):
            at = first(i) or BUDGET
            never = first(i) is None
            rows.append(
                {
                    "model": model,
                    "profile": "test",
                    "recipe": name,
                    "text": f"t{i}",
                    "n_tokens": 16,
                    "accuracy": 0.5 if never else 1.0,
                    "arrived": at,
                    "censored": never,
                    "curve": np.where(~np.array(never) & (np.arange(1, BUDGET + 1) >= at), 1, 0.5),
                }
            )
    return pd.DataFrame(rows)


def about(steps, spread=0.1):
    return lambda i: round(steps * (1 + spread * (-1) ** i + 0.001 * i))


def but_never(first, which):
    return lambda i: None if which(i) else first(i)


@pytest.mark.parametrize(
    ("slow", "fast", "word"),
    [
        (about(500), about(100), "holds"),
        (about(200), about(100), "does not hold"),
        (about(100), about(500), "does not hold"),
        (lambda i: 100 * (1 + 4 * (i % 2)), about(100, 0.0), "inconclusive"),
        # Some never arrive under the slow recipe: the ratio is at least what it comes to.
        (but_never(about(400), lambda i: i < 8), about(100), "holds"),
        (but_never(about(150), lambda i: i == 0), about(100), "inconclusive"),
        # Some never arrive under the fast one: the ratio is at most that.
        (about(500), but_never(about(20), lambda i: i < 2), "inconclusive"),
        (about(200), but_never(about(100), lambda i: i < 4), "does not hold"),
        # None does: nothing is known of the ratio.
        (
            but_never(about(500), lambda i: i % 2),
            but_never(about(50), lambda i: i < 2),
            "inconclusive",
        ),
    ],
)
def test_planted_truth(slow, fast, word):
    assert words(experiment.claims(frame(slow, fast))) == {"recipes.fast": word}


def test_a_text_that_never_arrives_counts_with_its_budget_and_the_claim_says_so():
    (verdict,) = experiment.claims(frame(but_never(about(400, 0), lambda i: i < 8), about(100)))
    steps = [BUDGET] * 8 + [about(400, 0)(i) for i in range(8, 32)]
    assert verdict.ours == pytest.approx(sum(steps) / sum(about(100)(i) for i in range(32)))
    assert verdict.n == 32 and verdict.high is None and verdict.low > 3
    assert "a lower bound, as 8 texts do not arrive under paper" in verdict.claim
    (verdict,) = experiment.claims(frame(about(200), but_never(about(100), lambda i: i < 4)))
    assert (
        verdict.low == 0 and "an upper bound, as 4 texts do not arrive under fast" in verdict.claim
    )


def test_texts_are_paired():
    def hardness(i):
        return 10 * 2 ** (i % 6)

    (verdict,) = experiment.claims(frame(lambda i: 5 * hardness(i) + i, hardness))
    assert verdict.verdict == "holds" and verdict.high - verdict.low < 0.5


def test_only_texts_under_both_recipes_count():
    df = frame(about(500), about(100))
    extra = df[df["text"] == "t0"].assign(text="only", arrived=1, censored=True)
    df = pd.concat([df, extra[extra["recipe"] == "paper"]])
    (verdict,) = experiment.claims(df)
    assert verdict.n == 32 and "bound" not in verdict.claim


def test_few_texts_are_no_test():
    (verdict,) = experiment.claims(frame(about(500), about(100), n_texts=4))
    assert verdict.verdict == "not tested here" and "texts" in verdict.needs


def test_first_step_and_best_so_far():
    assert experiment.first_step(np.array([0.0, 0.9, 0.95, 1.0])) == 3
    assert experiment.first_step(np.array([0.0, 0.9])) is None
    assert experiment.first_step(np.array([1.0])) == 1
    best = experiment.best_so_far(np.array([0.2, 0.8, 0.4]), 5)
    np.testing.assert_array_equal(best, [0.2, 0.8, 0.8, 0.8, 0.8])


def test_table_marks_a_lower_bound():
    table = experiment.table(frame(but_never(about(400), lambda i: i < 8), about(100)))
    assert table.loc["paper", "steps to 0.95"].startswith("≥ ")
    assert table.loc["fast", "steps to 0.95"] == "102"
    assert table.loc["paper", "arrived at 0.95"] == "0.75"


def test_any_part_of_the_results_is_shown():
    answers_on_subsets(experiment, frame(but_never(about(400), lambda i: i < 3), about(100), 8))


def test_computed_frame():
    df = study(load_params("recipes", "smoke", recipes=("paper", "paper")))
    assert all(len(c) == df["max_steps"].iloc[0] for c in df["curve"])
    assert (df["censored"] == (df["accuracy"] < experiment.TARGET)).all()
    assert df["censored"].any()
    assert (df.loc[df["censored"], "arrived"] == df["max_steps"].iloc[0]).all()
    assert experiment.figure(df).axes and len(experiment.table(df)) == 1
    with pytest.raises(ReproducerError, match="did you mean 'fast'"):
        load_params("recipes", "smoke", recipes=("paper", "fats"))
