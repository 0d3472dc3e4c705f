"""A7: the design, the groups, the moves from a common start, and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import norm

from reproducer.errors import ReproducerError
from reproducer.experiments import distances
from reproducer.experiments.pairs import DIFFERENT, SAME_CONTEXT, SAME_TEXT, compared
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.results.known import Known
from reproducer.results.run import cached_lm, compute
from reproducer.results.solutions import points_of
from reproducer.texts.sources import Text
from tests.experiments.checks import answers_on_subsets, words
from tests.experiments.pair_frames import planted_pairs

SETTINGS = {"n_texts": 3, "n_tokens": 3, "n_continuations": 3, "n_seeds": 2, "max_steps": 3}


@pytest.fixture
def params():
    return load_params("distances", "smoke", **SETTINGS)


def test_nothing_is_sampled_or_fitted_to_read_what_is_known(params):
    assert study(params, compute=False).empty
    assert [spec.kind for spec in wanted(params, Known())] == ["continuations"] * 3


def test_names_are_checked_before_any_work():
    for name, value in (
        ("source", "random"),
        ("arrangement", "[x]"),
        ("recipe", "papers"),
        ("shares", ["e"]),
        ("starts", ["shared"]),
    ):
        with pytest.raises(ReproducerError, match=name):
            load_params("distances", "smoke", **{name: value})


def test_design_is_contexts_by_continuations_by_seeds(params):
    known = Known()
    compute(distances.sampling(params), known, progress=False)
    shared, *own = distances.fits(params, distances.texts(params, known))
    per_context = (3 - 1) + 2
    assert len(shared.sequences) == len(own) == 3 * per_context
    assert {fit.seed for fit in own} == {0, 1}
    assert len({fit.key for fit in own}) == len(own)


def test_a_text_that_was_sampled_twice_is_fitted_once(params, monkeypatch):
    texts = [
        [Text(source="s", id=f"c{c}+{j}", tokens=tokens) for j, tokens in enumerate(rows)]
        for c, rows in enumerate(
            [[(1, 2, 3), (1, 2, 3), (4, 5, 6)], [(4, 5, 6), (7, 8, 9), (1, 2, 3)]]
        )
    ]
    monkeypatch.setattr(distances, "sampling", lambda params: ["of a", "of b"])
    monkeypatch.setattr(distances, "texts_of", dict(zip("ab", texts, strict=True)).get)

    class Sampled:
        def all(self, specs):
            return [spec[-1] for spec in specs]

    shared, *own = distances.fits(params, distances.texts(params, Sampled()))
    assert sorted(t.tokens[0] for t in shared.sequences) == [1, 1, 4, 4, 7]
    assert len({fit.problem(cached_lm("tiny")).rows.sum().item() for fit in own}) == 5


def test_pairs_and_distances_equal_the_obvious_loop(params):
    df = study(params)
    designs = {("m", "own", "e"), ("none", "own", "e"), ("none", "own", "m")}
    assert set(zip(df["share"], df["start"], df["role"], strict=True)) == designs
    fits = [s for s in wanted(params, Known()) if s.kind == "fit" and s.share == "none"]
    points = points_of(compute(fits, progress=False))
    ours = df[(df["share"] == "none") & (df["role"] == "m")].reset_index(drop=True)
    row = 0
    for i, p in enumerate(points):
        for q in points[i + 1 :]:
            pair = ours.loc[row]
            assert pair["distance"] == pytest.approx(cosine(p.rows[1], q.rows[1]), abs=1e-6)
            one_context = p.text.id.rsplit("+")[0] == q.text.id.rsplit("+")[0]
            if p.text.tokens == q.text.tokens:
                assert pair["group"] == SAME_TEXT
            else:
                assert pair["group"] == (SAME_CONTEXT if one_context else DIFFERENT)
            row += 1
    assert row == len(ours) and not df["same_start"].any()
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    assert set(words(distances.claims(df)).values()) == {"not tested here"}


@pytest.mark.parametrize("share", ["m", "none"])
def test_from_a_common_start_moves_are_compared(params, share):
    params = params.model_copy(update={"starts": ("common",), "shares": (share,)})
    df = study(params)
    fits = [s for s in wanted(params, Known()) if s.kind == "fit"]
    assert {fit.recipe.name for fit in fits} == {"canonical"}
    assert {fit.recipe.max_steps for fit in fits} == {3}
    results = compute(fits, progress=False)
    moves, seeds = [], []
    for result, fit in zip(results, fits, strict=True):
        start = fit.problem(cached_lm("tiny")).rows.numpy()
        for s, text in enumerate(fit.sequences):
            row = fit.row_of("e", s)
            moves.append(result.arrays["rows"][row] - start[row])
            seeds.append(fit.seed + fit.sequences[:s].count(text))
    ours = df[df["role"] == "e"].reset_index(drop=True)
    pairs = [(i, j) for i in range(len(moves)) for j in range(i + 1, len(moves))]
    for row, (i, j) in enumerate(pairs):
        distance = ours.loc[row, "distance"]
        assert distance == pytest.approx(cosine(moves[i], moves[j]), abs=1e-4)
        assert ours.loc[row, "same_start"] == (seeds[i] == seeds[j])
    assert 0 < ours["same_start"].sum() < len(ours) == len(pairs)
    assert not (ours["same_start"] & (ours["group"] == SAME_TEXT)).any()


def test_unsolved_fits_are_left_out_and_counted(params):
    strict = params.model_copy(update={"min_accuracy": 1.0})
    assert study(strict).empty
    partly = params.model_copy(update={"min_accuracy": 0.3})
    df = study(partly)
    if len(df):
        assert "unsolved fits left out" in df["counts"].iloc[0]
    assert "0 unsolved" in study(params)["counts"].iloc[0]


def test_only_comparable_pairs_are_compared():
    own = planted_pairs(n_contexts=3)
    near, far = compared(own, SAME_CONTEXT, DIFFERENT)
    assert near.equals(own["group"] == SAME_CONTEXT) and far.equals(own["group"] == DIFFERENT)
    common = planted_pairs(n_contexts=3, start="common")
    near, far = compared(common, SAME_CONTEXT, DIFFERENT)
    assert common.loc[near | far, "same_start"].all() and near.sum() == 3 * 3
    near, far = compared(common, SAME_TEXT, SAME_CONTEXT)
    assert not common.loc[near | far, "same_start"].any() and near.sum() == 3 * 3


def test_effects_are_the_planted_ones():
    df = planted_pairs(same_text=-2, same_context=-1)
    effects = distances.effect_table(df).reset_index()
    chances = effects["chance"].str.split(" ").str[0].astype(float)
    assert chances.tolist() == pytest.approx([norm.cdf(1 / 2**0.5)] * 2, abs=0.05)
    assert effects["gap"].astype(float).tolist() == pytest.approx([1, 1], abs=0.15)
    assert effects["contexts"].tolist() == [24, 24]


CLOSER, UNDECIDED = 1.5, 0.36  # in standard deviations: chances of 0.86 and 0.6


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        (2 * CLOSER, CLOSER, ("reproduced", "reproduced")),
        (0, CLOSER, ("contradicted", "reproduced")),
        (0, -CLOSER, ("reproduced", "contradicted")),
        (-CLOSER, 0, ("contradicted", "contradicted")),
        (2 * UNDECIDED, UNDECIDED, ("inconclusive", "inconclusive")),
    ],
)
def test_the_papers_claims_say_what_was_planted(text, context, said):
    df = planted_pairs(same_text=-text, same_context=-context, n_contexts=30)
    # Whatever other designs show, they are not the paper's.
    others = [
        planted_pairs(CLOSER + text, context, 0, share="none", role=role) for role in ("e", "m")
    ]
    got = words(distances.claims(pd.concat([df, *others], ignore_index=True)))
    assert got == {"A7.same-text": said[0], "A7.same-context": said[1]}


def test_no_effect_is_told_from_one_of_interest():
    got = words(distances.claims(planted_pairs(n_contexts=60)))
    assert got == {"A7.same-text": "contradicted", "A7.same-context": "contradicted"}


@pytest.mark.parametrize(
    ("context", "said"),
    [(CLOSER, "holds"), (0, "does not hold"), (UNDECIDED, "inconclusive")],
)
@pytest.mark.parametrize("share", ["m", "none"])
def test_a_common_start_is_judged_among_fits_from_one_point(share, context, said):
    df = planted_pairs(
        same_context=-context, n_contexts=40, share=share, start="common", across_starts=-context
    )
    verdicts = distances.claims(df)
    label = "A7.common-start-e-shared-m" if share == "m" else "A7.common-start-e-own-m"
    got = words(verdicts)
    assert got.pop(label) == said
    assert set(got.values()) == {"not tested here"}
    assert [v.own for v in verdicts] == [False, False, True]
    assert {v.unit for v in verdicts} == {"contexts"}


def test_own_m_tiny_and_no_pairs_are_not_tested():
    own = distances.claims(planted_pairs(-3, -1, share="none"))
    assert set(words(own).values()) == {"not tested here"}
    assert "share m" in own[0].needs and own[0].ours > 0.6
    tiny = distances.claims(planted_pairs(-3, -1, model="tiny"))
    assert set(words(tiny).values()) == {"not tested here"}
    assert distances.claims(pd.DataFrame()) == []


def test_views_answer_on_any_rows():
    designs = [("m", "own", "e"), ("none", "common", "e"), ("none", "common", "m")]
    frames = [
        planted_pairs(-1, n_contexts=4, share=share, start=start, role=role)
        for share, start, role in designs
    ]
    df = pd.concat(frames, ignore_index=True)
    answers_on_subsets(distances, df, distances.effect_table)
    table = distances.table(df)
    assert len(table) == 1 + 2 * 2 and (table.loc["none"] == "–").to_numpy().any()
    assert distances.note(df).startswith("Computed with") and "4 contexts" in distances.note(df)
    assert "No result" in distances.note(df.iloc[:0])
    lines = [len(axis.lines) for axis in distances.figure(df).axes]
    assert (
        lines == [3, 3, 3] and np.isfinite(distances.figure(df).axes[0].lines[0].get_ydata()).all()
    )
