"""Capacity of untrained shapes: which models are asked, verdicts on planted frames, tables."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.app.plan import plan
from reproducer.errors import ReproducerError
from reproducer.experiments import architecture as experiment
from reproducer.results.known import Known, Nothing
from tests.experiments.checks import answers_on_subsets, words

N_TEXTS = 16
# Mean tokens that each model holds; of the base shape under two recipes.
PLANTED = {
    ("smollm2-135m", "", "cold"): 10,
    ("smollm2-135m", "", "long"): 30,
    ("untrained", "", "cold"): 10,
    ("untrained", "", "long"): 1,
    ("untrained", "width", "cold"): 1,
    ("untrained", "layers", "cold"): 1,
    ("untrained", "vocab", "cold"): 10,
    ("other", "family", "cold"): 40,
}


def frame(**changed):
    """A frame as `rows` gives; `changed` by model, or by what is varied and how it is fitted."""
    rows = []
    for (model, varied, recipe), mean in PLANTED.items():
        mean = changed.get(f"{varied or model}_{recipe}".replace("-", "_"), mean)
        base = {"layers": 30, "width": 576, "vocab": 49152}
        shape = base | ({varied: 2} if varied in base else {})
        for i in range(N_TEXTS):
            rows.append(
                {
                    "model": f"{model}{varied}",
                    "profile": "test",
                    "weights": "trained" if model == "smollm2-135m" else "untrained",
                    **shape,
                    "n_parameters": 1000,
                    "n_ids": 4064,
                    "max_steps": 400,
                    "varied": varied,
                    "recipe": recipe,
                    "text": f"tokens-{i}",
                    "held_tokens": max(0, mean + ((i + len(varied)) % 3 - 1) * (mean > 1))
                    + (i == 0),
                    "longest": 64,
                    "device": "a CPU",
                }
            )
    return pd.DataFrame(rows)


ALL_TRUE = {
    "architecture.training": "holds",
    "architecture.width": "holds",
    "architecture.depth": "holds",
    "architecture.vocabulary": "holds",
}


def test_planted_truth():
    assert words(experiment.claims(frame())) == ALL_TRUE


@pytest.mark.parametrize(
    ("planted", "claim", "word"),
    [
        ({"smollm2_135m_long": 15}, "training", "does not hold"),
        ({"smollm2_135m_long": 20}, "training", "inconclusive"),
        # Untrained weights count by the recipe that suits them.
        ({"untrained_cold": 1, "untrained_long": 28}, "training", "does not hold"),
        ({"width_cold": 8}, "width", "does not hold"),
        ({"layers_cold": 20}, "depth", "does not hold"),
        ({"vocab_cold": 24}, "vocabulary", "does not hold"),
        ({"vocab_cold": 4}, "vocabulary", "does not hold"),
        # What the smallest shape holds may be nothing.
        ({"width_cold": 0}, "width", "holds"),
    ],
)
def test_planted_untruth(planted, claim, word):
    assert words(experiment.claims(frame(**planted)))[f"architecture.{claim}"] == word


def test_shapes_are_compared_under_one_recipe():
    """Depth changes nothing under `cold`; what the plain shape holds under `long` is no depth."""
    got = words(experiment.claims(frame(layers_cold=10, untrained_long=25)))
    assert got["architecture.depth"] == "does not hold"
    assert got["architecture.vocabulary"] == "holds"


def test_whole_texts_and_equal_texts_are_judged():
    df = frame(smollm2_135m_long=64)
    (training, *_) = experiment.claims(df.assign(held_tokens=df["held_tokens"].clip(upper=64)))
    assert training.verdict == "holds" and training.ours == 1
    assert "other" not in training.model


def test_a_model_counts_once_all_its_searches_are_finished():
    both = load_params("architecture", "smoke", recipes=["cold", "paper"])
    study(load_params("architecture", "smoke"), progress=False)
    assert not set(both.models[:2]) & set(study(both, compute=False)["model"])


def test_without_a_side_nothing_is_said():
    df = frame()
    assert words(experiment.claims(df[df["weights"] == "trained"])) == dict.fromkeys(
        ALL_TRUE, "not tested here"
    )


def test_answers_on_any_rows():
    answers_on_subsets(experiment, frame())


def test_the_better_recipe_counts():
    counted = experiment.best(frame())
    chosen = dict(zip(counted["model"], counted["recipe"], strict=True))
    assert chosen["smollm2-135m"] == "long" and chosen["untrained"] == "cold"
    table = experiment.table(frame())
    assert table.loc[("smollm2-135m", "long"), "tokens held"].startswith("30.0")
    assert len(table) == len(PLANTED)


def test_models_change_one_number_at_a_time():
    params = load_params("architecture", "smollm2")
    assert params.models[:3] == (
        "smollm2-135m",
        "random:smollm2-135m",
        "random:smollm2-135m:width=192",
    )
    assert all(model.count("=") <= 1 for model in params.models)
    assert len(params.models) == len(set(params.models))


def test_the_papers_models_are_planned_without_their_weights():
    rows, refused = plan({"architecture": load_params("architecture", "paper")}, by_peak=True)
    assert not refused and sum(row.missing for row in rows) > 0


def test_tokens_are_drawn_evenly_from_those_that_all_models_have():
    params = load_params("architecture", "smollm2", n_texts=400)
    drawn = np.array([text.tokens for text in experiment.texts(params)])
    assert drawn.min() == params.first_id and drawn.max() == params.last_id
    middle = (params.first_id + params.last_id) / 2
    assert abs(drawn.mean() - middle) < 5 * 1200 / drawn.size**0.5
    assert len({text.digest for text in experiment.texts(params)}) == 400


def test_more_and_longer_texts_begin_with_the_same_tokens():
    few, many = (
        experiment.texts(load_params("architecture", "smollm2", n_texts=n, lengths=[1, longest]))
        for n, longest in ((3, 5), (4, 130))
    )
    assert all(text.tokens == many[i].tokens[:5] for i, text in enumerate(few))
    assert len({text.tokens[64:] for text in many}) == 4 and len(many[3].tokens) == 130


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"last_id": 256, "vocabularies": [256]}, "expected last_id below its 256 tokens"),
        ({"last_id": 10}, "expected last_id above first_id"),
        ({"widths": [17]}, "a whole number in"),
        ({"recipes": ["none"]}, "recipe"),
        ({"others": ["no such model"]}, "unknown model"),
        ({"others": ["smollm2-135m"]}, "expected untrained models of different shapes"),
        ({"layers": [2]}, "expected untrained models of different shapes"),
        ({"lengths": [0, 1]}, "lengths"),
    ],
)
def test_bad_parameters_are_refused(fields, fault):
    with pytest.raises(ReproducerError, match=fault):
        load_params("architecture", "smoke", **fields)


def test_the_study_searches_every_model():
    params = load_params("architecture", "smoke")
    df = study(params, progress=False)
    assert set(df["model"]) == set(params.models)
    assert all(spec in Known() for spec in experiment.specs(params, Known()))
    assert len(experiment.specs(params, Nothing())) == len(params.models) * params.n_texts
    assert set(words(experiment.claims(df)).values()) == {"not tested here"}
