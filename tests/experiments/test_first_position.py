"""Why the first position fails: verdicts on frames with known answers."""

import numpy as np
import pandas as pd
import pytest

from reproducer import compute, load_params, study
from reproducer.experiments import first_position as experiment
from reproducer.experiments.first_position_claims import CLAMPED, FREE

MODEL, RANDOM = "smollm2-135m", "random:smollm2-135m"
SCALES = (1.0, 30_000.0)
IDS = (
    "few-words",
    "second-says-most",
    "learned",
    "clamped",
    "long-start",
    "gradient",
    "texts-clamped",
    "texts-long-start",
    "stays-short",
)
TRUE = {
    "first": 0.1,
    "second": 1,
    "clamped": 0.9,
    "long": 1,
    "random": 1,
    "turn": 0.01,
    "text": 1,
    "length": 0.1,
}
FALSE = {
    "first": 0.9,
    "second": 0,
    "clamped": 0.9,
    "long": 1,
    "random": 0,
    "turn": 1,
    "text": 0,
    "length": 1,
}
UNSURE = {
    "first": 0.5,
    "second": 0.9,
    "clamped": 0.8,
    "long": 0.8,
    "random": 0.9,
    "turn": 0.1,
    "text": 0.1,
    "length": 0.5,
}


def frame(truth, n=100):
    """Items of which the given shares are right; texts are never right where they are free."""

    def many(task, share, position=1, scale=1.0, state=FREE, model=MODEL):
        return [
            {
                "model": model,
                "task": task,
                "position": position,
                "scale": scale,
                "state": state,
                "item": str(i),
                "right": float((7 * i) % n < round(share * n)),
            }
            for i in range(n)
        ]

    rows = [
        *many("word", truth["first"]),
        *many("word", truth["second"], position=2),
        *many("word", truth["clamped"], state=CLAMPED),
        *many("word", truth["long"], scale=SCALES[1]),
        *many("word", truth["random"], model=RANDOM),
        *many("text", 0.0),
        *many("text", truth["text"], state=CLAMPED),
        *many("text", truth["text"], scale=30.0),
    ]
    draw = np.random.default_rng(0)
    for position, mean in ((1, truth["turn"]), (2, 1.0)):
        for item in range(12):
            turn = mean * np.exp(draw.normal(scale=0.2))
            gradient = {"task": "gradient", "position": position, "state": FREE, "scale": 1.0}
            rows += [
                gradient | {"model": MODEL, "item": str(item), "layer": layer, "turn": value}
                for layer, value in ((0, 1.0), (30, turn))
            ]
    for scale, mean in ((1.0, 1.0), (30.0, truth["length"])):
        for item in range(16):
            # The second position's length must not matter.
            for position, length in ((1, mean * np.exp(draw.normal(scale=0.2))), (2, 5.0)):
                at = {"task": "length", "position": position, "state": FREE, "scale": scale}
                by_layer = ((0, 0.01), (12, length), (29, 0.5 * length))  # the greatest counts
                rows += [
                    at | {"model": MODEL, "item": str(item), "layer": layer, "length": value}
                    for layer, value in by_layer
                ]
    return pd.DataFrame(rows).assign(profile="test")


def words(df):
    said = {v.id.partition(".")[2]: v.verdict for v in experiment.claims(df)}
    return [said[name] for name in IDS]


def test_planted_truths():
    assert words(frame(TRUE)) == ["holds"] * len(IDS)
    assert words(frame(FALSE)) == ["does not hold"] * len(IDS)
    assert words(frame(UNSURE)) == ["inconclusive"] * len(IDS)


def test_both_untrained_models_count():
    df = frame(TRUE)
    other = df[df["model"] == RANDOM].assign(model="random:pythia-160m", right=0.0)
    said = {v.id: v for v in experiment.claims(pd.concat([df, other]))}
    assert said["first_position.learned"].verdict == "does not hold"
    assert len(said["first_position.learned"].parts) == 2


def test_conditions_are_compared_word_by_word():
    """Half of the words, others each time: a share of 0.5 against 0.5 is no gain."""
    df = frame(TRUE | {"first": 0.5, "clamped": 0.5})
    said = {v.id: v for v in experiment.claims(df)}
    assert said["first_position.clamped"].ours == pytest.approx(0)


def test_any_part_of_a_frame_is_answered():
    df = frame(TRUE, n=20)
    draw = np.random.default_rng(0)
    for size in (0, 1, 5, 40):
        some = df.iloc[np.sort(draw.choice(len(df), size, replace=False))]
        experiment.claims(some)
        if size:
            experiment.table(some)
            experiment.figure(some)


def test_words_are_drawn_once_and_from_the_vocabulary():
    params = load_params("first_position", "smoke")
    chosen = experiment.sampled_words(params, "tiny")
    assert chosen == experiment.sampled_words(params, "tiny") and len(set(chosen)) == 3
    assert max(chosen) < 258


def test_study_of_a_tiny_model():
    params = load_params("first_position", "smoke")
    assert study(params, compute=False).empty
    df = study(params)
    counts = df.groupby(["task", "position", "state"]).size()
    assert counts["word", 1, FREE] == 6 and counts["word", 2, FREE] == 3
    assert counts["word", 1, CLAMPED] == 3 and counts["text", 1, CLAMPED] == 2
    assert counts["text", 1, FREE] == 4
    assert {v.verdict for v in experiment.claims(df)} == {"not tested here"}
    pd.testing.assert_frame_equal(df, study(params, compute=False))


def test_a_part_of_the_results_gives_no_verdict(tiny):
    """As where only the fits that other experiments ask for are known."""
    params = load_params("first_position", "smoke")
    compute(experiment.texts(params), progress=False)
    df = study(params, compute=False)
    assert set(df["task"]) == {"text"}
    assert [v.verdict for v in experiment.claims(df)] == ["not tested here"] * len(IDS)
