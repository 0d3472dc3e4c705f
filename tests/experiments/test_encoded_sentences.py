"""Sentences among encodings: verdicts on frames with a known answer, places from results."""

import numpy as np
import pandas as pd
import pytest

from reproducer import compute, load_params, study
from reproducer.experiments import encoded_sentences as sentences
from reproducer.experiments import encoded_space
from reproducer.results.known import Nothing
from tests.experiments.checks import answers_on_subsets, words

N_FAMILIES, WIDTH, VOCABULARY = 26, 64, 400


def frame(near=0.5, shared_words=0.0, meant=1.0):
    """Rows of sentences whose `e` lies near its family's, which the sentence encoder knows.

    `meant`: how far; of eight tokens the share `shared_words` is its family's own.
    """
    draw = np.random.default_rng(0)
    n_own, rows = int(8 * shared_words), []
    for family in range(N_FAMILIES):
        centre, other = draw.standard_normal((2, WIDTH))
        meaning = meant * centre + (1 - meant) * other
        for number in range(4):
            own = range(VOCABULARY * (family + 1), VOCABULARY * (family + 1) + n_own)
            row = {
                "text": f"f{family}/paraphrase/{number}",
                "family": f"f{family}",
                "passage": f"f{family}",
                "tokens": (*own, *draw.integers(0, VOCABULARY, 8 - n_own).tolist()),
                "e": near * centre + (1 - near) * draw.standard_normal(WIDTH),
                "encoder": meaning + 0.1 * draw.standard_normal(WIDTH),
            }
            rows.append(row)
    common = {"model": "smollm2-135m", "profile": "test", "n_tokens": 4, "device": "a CPU"}
    return pd.DataFrame(rows).assign(task="sentence", seed=0, **common)


@pytest.mark.parametrize(
    ("planted", "meaning", "beyond_words", "relations"),
    [
        ({}, "holds", "holds", "holds"),
        ({"near": 0.0}, "does not hold", "does not hold", "does not hold"),
        ({"shared_words": 0.9}, "holds", "does not hold", "holds"),
        ({"near": 0.2, "shared_words": 0.2}, "inconclusive", "does not hold", "inconclusive"),
    ],
)
def test_planted_truth(planted, meaning, beyond_words, relations):
    assert words(sentences.claims(frame(**planted))) == {
        "encoded_space.meaning": meaning,
        "encoded_space.beyond-words": beyond_words,
        "encoded_space.relations": relations,
    }


def test_the_unit_is_a_family_not_a_sentence():
    assert {verdict.n for verdict in sentences.claims(frame())} == {N_FAMILIES}


def test_answers_on_any_rows():
    answers_on_subsets(encoded_space, frame(), sentences.table)


def test_the_table_holds_encodings_beside_words_and_meaning():
    table = sentences.table(frame(near=1.0, shared_words=0.0))
    near = table["same family closer (AUC)"]
    assert near["mean encoding"].startswith("1.00") and near["sentence encoder"].startswith("1.00")
    assert float(near["bag of tokens"].split()[0]) == pytest.approx(0.5, abs=0.05)
    assert table["correlation with the sentence encoder"].iloc[-1] == "–"


def test_an_encoder_of_longer_texts_than_the_sentences_is_asked_for_the_rest_alone():
    params = load_params(
        "encoded_space",
        "smollm2",
        lengths=[32],
        text_steps=[8],
        compared_at=32,
        dtypes=[],
        fitted_at=[],
    )
    assert sentences.asked(params) is None
    kinds = [spec.kind for spec in encoded_space.specs(params, Nothing())]
    assert kinds == ["encoded", "encoded lines"]
    assert sentences.rows(params, Nothing()).empty


def test_a_sentence_s_place_is_the_mean_of_its_stretches():
    params = load_params("encoded_space", "smoke")
    df = study(params, progress=False)
    some = df[df["task"] == "sentence"]
    assert len(some) == params.n_texts * (1 + sentences.N_PARAPHRASES)
    assert some["tokens"].map(len).nunique() == 1
    encoded, meant = compute([*sentences.asked(params)], progress=False)
    first = encoded.spec["texts"][: sentences.MOST_STRETCHES]
    assert [t for text in first for t in text["tokens"]] == list(some["tokens"].iloc[0])
    mean = encoded.arrays["e"][: sentences.MOST_STRETCHES].astype(float).mean(0)
    assert some["e"].iloc[0] == pytest.approx(mean)
    assert some["encoder"].iloc[0] == pytest.approx(meant.arrays["vectors"][0])
    assert some["family"].nunique() == params.n_texts
