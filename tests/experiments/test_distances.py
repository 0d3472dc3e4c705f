"""Distances: the design, the groups, the effects and the verdicts."""

import numpy as np
import pandas as pd
import pytest
from reproducer.texts.sampled import sample
from scipy.spatial.distance import cosine

from reproducer.errors import ReproducerError
from reproducer.experiments import distances
from reproducer.experiments.distances_claims import effects
from reproducer.experiments.distances_views import binned
from reproducer.experiments.profiles import load_params
from reproducer.readings.continuations import contexts, sample_continuations, texts_of
from reproducer.results.run import cached_lm, compute
from reproducer.results.solutions import points_of
from reproducer.texts.sources import Text

SETTINGS = {"n_texts": 3, "n_tokens": 3, "n_continuations": 3, "n_seeds": 2, "max_steps": 3}


@pytest.fixture
def params():
    return load_params("distances", "smoke", **SETTINGS)


def test_continuations_are_those_of_single_sampling(tiny):
    (context,) = contexts("unseen", tiny, 1, 12)
    together = sample_continuations(tiny, context.tokens, 6, range(3))
    alone = [sample(tiny, context.tokens, 6, seed) for seed in range(3)]
    assert together.tolist() == alone


def test_nothing_is_sampled_or_fitted_to_read_the_store(params):
    assert distances.collect(params, compute_missing=False).empty
    assert len(distances.specs(params)) == 3


def test_design_is_contexts_by_continuations_by_seeds(params):
    sampled = compute(distances.sampling(params), progress=False)
    shared, *own = distances.fits(params, [texts_of(r) for r in sampled])
    per_context = (3 - 1) + 2
    assert len(shared.sequences) == len(own) == 3 * per_context
    assert {fit.seed for fit in own} == {0, 1}
    assert len({fit.key for fit in own}) == len(own)
    assert len(distances.sampling(params)) == 3


def test_a_text_that_was_sampled_twice_is_fitted_once(params):
    texts = [
        [Text(source="s", id=f"c{c}+{j}", tokens=tokens) for j, tokens in enumerate(rows)]
        for c, rows in enumerate(
            [[(1, 2, 3), (1, 2, 3), (4, 5, 6)], [(4, 5, 6), (7, 8, 9), (1, 2, 3)]]
        )
    ]
    shared, *own = distances.fits(params, texts)
    assert sorted(t.tokens[0] for t in shared.sequences) == [1, 1, 4, 4, 7]
    assert len({fit.problem(cached_lm("tiny")).rows.sum().item() for fit in own}) == 5


def test_pairs_and_distances_equal_the_obvious_loop(params):
    df = distances.collect(params)
    assert set(zip(df["share"], df["role"], strict=True)) == {
        ("m", "e"),
        ("none", "e"),
        ("none", "m"),
    }
    fits = [s for s in distances.specs(params) if s.kind == "fit" and s.share == "none"]
    points = points_of(compute(fits, progress=False))
    ours = df[(df["share"] == "none") & (df["role"] == "m")].reset_index(drop=True)
    row = 0
    for i, p in enumerate(points):
        for q in points[i + 1 :]:
            found = ours.loc[row]
            assert found["distance"] == pytest.approx(cosine(p.rows[1], q.rows[1]), abs=1e-6)
            one_context = p.text.id.rsplit("+")[0] == q.text.id.rsplit("+")[0]
            if p.text.tokens == q.text.tokens:
                assert found["group"] == "same text"
            else:
                assert found["group"] == ("same context" if one_context else "different contexts")
            row += 1
    assert row == len(ours)
    pd.testing.assert_frame_equal(df, distances.collect(params, compute_missing=False))


def test_unsolved_fits_are_left_out_and_counted():
    strict = load_params("distances", "smoke", min_accuracy=1.0, **SETTINGS)
    with pytest.raises(ReproducerError, match="at least 2 solutions of accuracy 1"):
        distances.collect(strict)
    assert distances.collect(strict, compute_missing=False).empty


def some_pairs(n_contexts=10, same_context=0.3, different=0.6, model="smollm2-135m"):
    rng = np.random.default_rng(0)
    centres = {"same text": 0.1, "same context": same_context, "different contexts": different}
    rows = []
    for i in range(n_contexts):
        for j in range(i, n_contexts):
            groups = ("same text", "same context") if i == j else ("different contexts",)
            for group in groups:
                for _ in range(4):
                    apart = rng.uniform()
                    spot = centres[group] + 0.1 * apart + 0.02 * rng.normal()
                    rows.append((f"c{i}", f"c{j}", group, spot, apart, apart, int(i == j)))
    names = ["context_a", "context_b", "group", "distance", "token_distance"]
    df = pd.DataFrame(rows, columns=[*names, "semantic_distance", "same_context"])
    return df.assign(share="m", role="e", model=model, profile="quick")


def test_effect_is_the_share_of_closer_pairs():
    df = some_pairs(n_contexts=3, same_context=0.55)
    found = effects(df).set_index(["nearer", "context"]).loc[("same context", "c1")]
    touching = df[(df["context_a"] == "c1") | (df["context_b"] == "c1")]
    near = touching[touching["group"] == "same context"]["distance"].to_numpy()
    far = touching[touching["group"] == "different contexts"]["distance"].to_numpy()
    assert found["chance"] == pytest.approx(np.mean(near[:, None] < far[None]))
    assert found["gap"] == pytest.approx(far.mean() - near.mean())


def test_verdicts_find_what_was_put_in():
    verdicts = {v.id: v for v in distances.claims(some_pairs())}
    assert {v.verdict for v in verdicts.values()} == {"reproduced"}
    assert verdicts["A8.token-distance"].ours == pytest.approx(-0.3, abs=0.02)
    reverse = {v.id: v for v in distances.claims(some_pairs(same_context=0.9))}
    assert reverse["A7.same-context"].verdict == "not reproduced"
    assert reverse["A8.token-distance"].verdict == "not reproduced"


def test_few_contexts_and_tiny_give_no_verdict():
    few = distances.claims(some_pairs(n_contexts=2))
    assert {v.verdict for v in few} == {"not tested at this scale"}
    assert distances.claims(some_pairs(model="tiny")) == []


def test_bins_average_contexts():
    df = some_pairs()
    bins = binned(df[df["group"] == "same context"], "token_distance")
    assert bins["centre"].is_monotonic_increasing
    assert bins["mean"].between(0.3, 0.45).all()


@pytest.mark.parametrize("name", ["table", "effect_table", "regression_table", "note"])
def test_views_of_a_frame(name, params):
    assert len(getattr(distances, name)(distances.collect(params)))
