"""The space of encodings: verdicts on frames with a known answer, lines and gains from results."""

import numpy as np
import pandas as pd
import pytest

from reproducer import compute, load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import encoded_space as experiment
from reproducer.results.known import Known
from tests.experiments.checks import answers_on_subsets, words
from tests.experiments.test_encoded_sentences import frame as sentences

N_PASSAGES, N_LINES = 26, 4


def frame(halfway=0.9, gain=0.3, spread=0.02):
    """A frame as `rows` gives; what is kept at the ends is 0.9, give or take `spread`."""
    common = {"model": "smollm2-135m", "profile": "test", "n_tokens": 4, "device": "a CPU"}
    rows = []
    for i in range(N_PASSAGES):
        place = common | {"passage": f"unseen-{i}"}
        off = spread * (-1) ** i + 0.001 * i
        rows.append(place | {"task": "passage", "own": 0.5, "gain": gain + off})
        for j in range(N_LINES):
            kept = np.array([0.9, halfway + off, 0.9])
            line = {"task": "line", "text": f"unseen-{i}[{j}]", "place": float(j + 1)}
            ends = {"at_ends": (kept[0] + kept[-1]) / 2, "halfway": kept[1]}
            said = {"old": np.array([True, False, False]), "new": np.array([False, True, True])}
            rows.append(place | line | ends | said | {"kept": kept})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("planted", "lines", "passages"),
    [
        ({}, "holds", "holds"),
        ({"halfway": 0.6}, "does not hold", "holds"),
        ({"halfway": 0.79, "spread": 0.2}, "inconclusive", "holds"),
        ({"gain": 0.0}, "holds", "does not hold"),
        ({"gain": -0.3}, "holds", "does not hold"),
        ({"gain": 0.05, "spread": 0.04}, "holds", "inconclusive"),
    ],
)
def test_planted_truth(planted, lines, passages):
    expected = {"encoded_space.lines": lines, "encoded_space.passages": passages}
    assert words(experiment.claims(frame(**planted))) == expected


def test_the_unit_is_a_passage_not_a_line():
    one = frame()
    two = pd.concat([one, one[one["task"] == "line"]], ignore_index=True)
    (a, _), (b, _) = experiment.claims(one), experiment.claims(two)
    assert a.n == b.n == N_PASSAGES
    assert (a.low, a.high) == pytest.approx((b.low, b.high))


def test_answers_on_any_rows():
    both = pd.concat([frame(), sentences()], ignore_index=True)
    answers_on_subsets(experiment, both, experiment.sentences)


def test_the_table_tells_what_stays_and_what_is_said():
    row = experiment.table(frame(halfway=0.5, spread=0)).iloc[0]
    assert row["lines"] == f"{N_PASSAGES}" and row["old, start"] == "100%"
    assert (row["shared, start"], row["new, end"]) == ("90%", "100%")


def test_rows_are_of_passages_and_of_lines_that_change_something():
    params = load_params("encoded_space", "smoke")
    df = study(params, progress=False)
    texts = experiment.encoded(params).texts
    tokens = np.array([text.tokens for text in texts])
    changes = int((tokens != np.roll(tokens, -params.windows, 0)).sum())
    assert (df["task"] == "line").sum() == changes
    assert (df["task"] == "passage").sum() == params.n_texts
    (result,) = compute([experiment.encoded(params)], progress=False)
    e = result.arrays["e"].astype(float)
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    first, second = e[0], e[1]  # two windows a passage: each is a half
    own = df[df["task"] == "passage"]["own"].iloc[0]
    assert own == pytest.approx(float(first @ second))


def test_it_asks_the_encoder_of_the_other_page():
    params = load_params("encoded_space", "smollm2")
    same = experiment.encoder.compared(load_params("encoder", "smollm2"))
    assert experiment.encoded(params).encoder == same
    assert experiment.specs(params, Known())[1].encoder == same


@pytest.mark.parametrize(("field", "value"), [("windows", 3), ("n_points", 2)])
def test_bad_parameters_are_refused(field, value):
    with pytest.raises(ReproducerError, match=field):
        load_params("encoded_space", "smoke", **{field: value})
