"""A8: text distances, what remains at equal distance, and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest

from reproducer.analysis.clusters import cosine_distances
from reproducer.experiments import distances, same_context
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.results.known import Known
from reproducer.texts.distance import tfidf_distances
from tests.experiments.checks import answers_on_subsets, words
from tests.experiments.pair_frames import planted_pairs

CLOSER, UNDECIDED, SLOPE = 1.5, 0.36, 8.0
IDS = ["A8.token-distance", "A8.semantic-distance"]


def planted(**fields):
    df = planted_pairs(**fields)
    return df[df["group"] != "same text"].reset_index(drop=True)


def test_rows_are_those_of_a7_with_the_distances_of_the_texts():
    settings = {"n_tokens": 3, "n_continuations": 3, "max_steps": 3, "shares": ["m"]}
    params = load_params("same_context", "smoke", **settings)
    known = Known()
    df = study(params, known=known)
    kinds = [spec.kind for spec in wanted(params, known)]
    assert kinds == ["continuations"] * 3 + ["fit", "sentence_vectors"]
    pairs = study(load_params("distances", "smoke", **settings), known=known)
    different = pairs[pairs["group"] != "same text"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        df[different.columns].drop(columns="profile"), different.drop(columns="profile")
    )
    texts = [text for text, _ in distances.texts(params, known)]
    tokens = tfidf_distances([text.tokens for text in texts])
    (vectors,) = known.all([same_context.sentence_vectors(params, texts)])
    meaning = cosine_distances(vectors.arrays["vectors"])
    place = {text.id: i for i, text in enumerate(texts)}
    for row in df.itertuples():
        i, j = place[row.text_a], place[row.text_b]
        assert row.token_distance == tokens[i, j] and row.semantic_distance == meaning[i, j]
    assert set(words(same_context.claims(df)).values()) == {"not tested here"}


def test_without_sentence_vectors_tokens_alone_are_read(monkeypatch):
    params = load_params("same_context", "smoke", n_tokens=3, max_steps=3, shares=["m"])
    known = Known()
    from reproducer.results.run import compute

    compute(distances.sampling(params), known, progress=False)
    compute(distances.specs(params, known), known, progress=False)
    df = same_context.rows(params, known)
    assert df["semantic_distance"].isna().all() and df["token_distance"].notna().all()
    same_context.table(df), same_context.figure(df)
    assert same_context.claims(df)[1].ours is None


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (CLOSER, "reproduced"),
        (0, "contradicted"),
        (-CLOSER, "contradicted"),
        (UNDECIDED, "inconclusive"),
    ],
)
def test_verdicts_say_what_was_planted_at_equal_distance(context, said):
    # Texts of one context are closer, and so are their solutions; that alone is no effect.
    df = planted(same_context=-context, n_contexts=40, slope=SLOPE)
    plain = words(distances.claims(df))["A7.same-context"]
    assert plain == ("reproduced" if context >= 0 else plain)
    others = planted(same_context=context, share="none", role="m")
    got = words(same_context.claims(pd.concat([df, others], ignore_index=True)))
    assert got == dict.fromkeys(IDS, said)


def test_each_measure_is_held_equal_by_itself():
    df = planted(n_contexts=30, slope=SLOPE)
    noise = np.random.default_rng(0).uniform(size=len(df))
    got = words(same_context.claims(df.assign(semantic_distance=noise)))
    assert got == dict(zip(IDS, ["contradicted", "reproduced"], strict=True))


@pytest.mark.parametrize(
    ("context", "said"),
    [(CLOSER, "holds"), (0, "does not hold"), (UNDECIDED, "inconclusive")],
)
def test_a_common_start_is_judged_at_both_equal_distances(context, said):
    df = planted(
        same_context=-context,
        n_contexts=40,
        slope=SLOPE,
        share="none",
        start="common",
        role="m",
        across_starts=-context,
    )
    got = words(same_context.claims(df))
    assert got.pop("A8.common-start-m-own-m") == said
    assert got == dict.fromkeys(IDS, "not tested here")


@pytest.mark.parametrize("number", [0, 1])
def test_from_a_common_start_each_part_holds_its_own_measure_equal(number):
    df = planted(n_contexts=30, slope=SLOPE, share="none", start="common", role="m")
    column = ("token_distance", "semantic_distance")[number]
    noise = np.random.default_rng(0).uniform(size=len(df))
    verdict = same_context.claims(df.assign(**{column: noise}))[-1]
    assert [part.endswith(": for") for part in verdict.parts] == [number == 0, number == 1]


def test_own_m_and_few_contexts():
    own = same_context.claims(planted(same_context=-CLOSER, share="none"))
    assert set(words(own).values()) == {"not tested here"} and "share m" in own[0].needs
    few = same_context.claims(planted(same_context=-CLOSER, n_contexts=8))
    assert all(np.isfinite([v.low, v.high]).all() and v.n == 8 for v in few)


def test_bins_average_contexts_and_count_a_pair_for_both():
    pairs = pd.DataFrame(
        {
            "context_a": ["a", "a", "b"],
            "context_b": ["a", "b", "b"],
            "distance": [1.0, 2.0, 4.0],
            "token_distance": [1.0, 1.0, 1.0],
        }
    )
    (row,) = same_context.binned(pairs, "token_distance").itertuples()
    assert row.mean == pytest.approx((1.5 + 3) / 2) and row.error == pytest.approx(0.75)
    rising = planted(same_context=-1, slope=SLOPE)
    bins = same_context.binned(rising, "token_distance")
    assert bins["centre"].is_monotonic_increasing and bins["mean"].is_monotonic_increasing


def test_views_answer_on_any_rows():
    designs = [("m", "own", "e"), ("none", "common", "e"), ("none", "common", "m")]
    frames = [
        planted(n_contexts=4, share=share, start=start, role=role) for share, start, role in designs
    ]
    df = pd.concat(frames, ignore_index=True)
    answers_on_subsets(same_context, df)
    assert list(same_context.table(df)["contexts"]) == [4, 4, 4]
