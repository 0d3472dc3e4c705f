"""Sharing: group sizes, the paper's two means, groups that one seed holds, the verdicts."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import sharing
from reproducer.experiments.study import wanted
from reproducer.results.known import Known

# One worker computes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_sharing")
IDS = ("A2.share-e", "A2.restarts-e", "A2.share-m", "A2.restarts-m")
SIZE = 4


def frame(together, alone=lambda group, text, seed: 1.0, n_groups=12, n_seeds=3, **columns):
    """A frame as `rows` gives for texts alone and in groups of four.

    `together(role, group, text, seed)` is the accuracy in a group, `text` counted within it.
    """
    rows = [
        {
            "shared": role,
            "group_size": size,
            "text": f"t{g:02}-{t}",
            "group": f"t{g:02}-{t if size == 1 else 0}",
            "seed": seed,
            "accuracy": alone(g, t, seed) if size == 1 else together(role, g, t, seed),
        }
        for role in sharing.ROLES
        for size in (1, SIZE)
        for g in range(n_groups)
        for t in range(SIZE)
        for seed in range(n_seeds)
    ]
    common = {"model": "smollm2-135m", "profile": "test", "n_tokens": 8, "warm_m": False}
    return pd.DataFrame(rows).assign(**common | columns)


def one_seed_holds(role, group, text, seed):
    return 1.0 if seed == group % 3 else 0.5


def each_text_has_a_seed_of_its_own(role, group, text, seed):
    return 1.0 if seed == text % 3 else 0.5


def verdicts(df):
    return {v.id: v for v in sharing.claims(df)}


def words(df):
    return [verdicts(df)[name].verdict for name in IDS]


def test_group_sizes_and_names_are_checked_before_any_work():
    with pytest.raises(ReproducerError, match=r"divide the 6 texts \(\[1, 2, 3, 6\]\).*4"):
        load_params("sharing", "smoke", n_texts=6, group_sizes=[1, 4])
    with pytest.raises(ReproducerError, match="group_sizes"):
        load_params("sharing", "smoke", n_texts=6, group_sizes=[0])
    with pytest.raises(ReproducerError, match="unknown arrangement"):
        load_params("sharing", "smoke", arrangement="[e][m]")


def test_smoke(tiny):
    params = load_params("sharing", "smoke")
    specs = wanted(params, Known())
    # 4 texts alone, 2 pairs and 1 group of four for each of two roles; two seeds of each.
    assert len(specs) == 2 * (4 + 2 * (2 + 1))
    assert study(params, compute=False).empty
    df = study(params)
    assert len(df) == 2 * 2 * 3 * 4
    assert sharing.claims(df) == []
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    assert len(sharing.figure(df).axes) == 2
    # Those of a group that is fitted together share what they should, and nothing else.
    pairs = df[(df["group_size"] == 2) & (df["seed"] == 0)]
    assert (pairs.groupby(["shared", "group"])["key"].nunique() == 1).all()
    assert (pairs.groupby(["shared", "group"])["text"].nunique() == 2).all()


def test_every_shipped_fit_is_asked_for():
    known = Known()
    params = load_params("sharing", "smollm2")
    groups = [params.n_texts // size for size in params.group_sizes if size > 1]
    asked = wanted(params, known)
    assert len(asked) == params.n_seeds * (params.n_texts + 2 * sum(groups))
    assert all(spec in known for spec in asked)


def test_m_may_start_cold():
    warm, cold = (
        wanted(load_params("sharing", "smoke", model="smollm2-135m", recipe="fast", cold_m=c), None)
        for c in (False, True)
    )
    assert {spec.recipe.warm_m for spec in warm} == {"shared-12"}
    assert {spec.recipe.warm_m for spec in cold} == {""}
    assert {spec.recipe.name for spec in cold} == {"fast, m cold"}
    assert {spec.recipe.lr for spec in cold} == {spec.recipe.lr for spec in warm}
    assert not {spec.key for spec in cold} & {spec.key for spec in warm}


def test_max_and_avg_are_the_papers_and_a_group_has_one_seed():
    draw = np.random.default_rng(0).uniform(0.2, 0.99, (2, 12, SIZE, 3))
    df = frame(lambda role, g, t, seed: draw["em".index(role), g, t, seed])
    ours = sharing.table(df)["ours (smollm2-135m)", SIZE]
    chosen = df[(df["shared"] == "e") & (df["group_size"] == SIZE)]
    best = chosen.groupby("text")["accuracy"].max()
    assert ours["e", "max"] == f"{best.mean():.2f}\u00a0±\u00a0{best.std(ddof=0):.2f}"
    mean, std = chosen["accuracy"].mean(), chosen["accuracy"].std(ddof=0)
    assert ours["e", "avg"] == f"{mean:.2f}\u00a0±\u00a0{std:.2f}"
    groups = draw[0].mean(1).max(-1)  # (n_groups,)
    assert ours["e", "max, one seed a group"] == (
        f"{groups.mean():.2f}\u00a0±\u00a0{groups.std():.2f}"
    )
    assert ours["e", "groups held"] == "0 of 12"
    assert sharing.table(df).loc[("m", "avg"), ("paper (Llama-3.2-1B)", 256)].startswith("0.83")
    measured = sharing.by_group(df, "e", SIZE)
    np.testing.assert_allclose(measured["best"], groups)
    np.testing.assert_allclose(measured["mean"], draw[0].mean((1, 2)))
    assert (measured[["alone_best", "alone_mean"]] == 1).all(axis=None)


def test_alone_every_text_has_its_own_best_seed():
    df = frame(one_seed_holds, alone=lambda g, t, seed: 1.0 if seed == t % 3 else 0.4)
    measured = sharing.by_group(df, "m", SIZE)
    np.testing.assert_allclose(measured["alone_best"], 1)
    np.testing.assert_allclose(measured["alone_mean"], 0.6)


def test_words_where_the_paper_is_right():
    assert words(frame(one_seed_holds)) == ["reproduced"] * 4
    said = verdicts(frame(one_seed_holds))
    assert {v.ours for v in said.values()} == {1.0}
    assert {(v.n, v.unit) for v in said.values()} == {(12, "groups")}


def test_best_seeds_of_single_texts_hold_no_group():
    df = frame(each_text_has_a_seed_of_its_own)
    assert sharing.table(df).loc[("e", "max"), ("ours (smollm2-135m)", SIZE)].startswith("1.00")
    assert words(df) == ["contradicted", "reproduced"] * 2


def test_words_where_sharing_is_free_or_impossible():
    assert words(frame(lambda *_: 1.0)) == ["reproduced", "contradicted"] * 2
    assert words(frame(lambda *_: 0.3)) == ["contradicted", "reproduced"] * 2
    assert words(frame(lambda *_: sharing.HELD))[0] == "reproduced"
    assert words(frame(lambda *_: sharing.HELD - 0.001))[0] == "contradicted"
    # A loss of less than a token in 20 is none; nor is a gain.
    small = frame(lambda *_: 0.9, alone=lambda *_: 0.94)
    assert words(small)[1] == "contradicted"
    better = frame(lambda *_: 1.0, alone=lambda *_: 0.92)
    assert words(better) == ["reproduced", "contradicted"] * 2


def test_half_of_the_groups_decide_nothing():
    df = frame(lambda role, g, t, seed: 1.0 if g % 2 else 0.5)
    assert words(df) == ["inconclusive"] * 4
    assert "groups" in verdicts(df)["A2.share-e"].needs


def test_a_claim_needs_more_than_most_of_a_few_groups():
    df = frame(lambda role, g, t, seed: 1.0 if g < 8 else 0.5)
    said = verdicts(df)
    assert said["A2.share-e"].ours == pytest.approx(8 / 12)
    assert said["A2.share-e"].verdict == "inconclusive"


def test_as_many_groups_as_can_decide_are_enough():
    assert words(frame(one_seed_holds, n_groups=sharing.MIN_GROUPS)) == ["reproduced"] * 4


def test_a_seed_that_fails_alone_too_is_no_loss_by_sharing():
    df = frame(one_seed_holds, alone=lambda g, t, seed: 1.0 if seed == t % 3 else 0.5)
    assert words(df) == ["reproduced", "contradicted"] * 2


def test_roles_are_judged_apart():
    only_e = frame(lambda role, *_: 1.0 if role == "e" else 0.3)
    assert words(only_e) == ["reproduced", "contradicted", "contradicted", "reproduced"]


@pytest.mark.parametrize(
    ("df", "need"),
    [
        (frame(one_seed_holds, n_groups=5), "6 or more disjoint groups"),
        (frame(one_seed_holds, n_seeds=2), "3 or more seeds"),
        (frame(one_seed_holds, n_tokens=4), "8 or more tokens"),
        (frame(one_seed_holds, alone=lambda *_: 0.6), "held alone"),
    ],
)
def test_gates_name_what_they_need(df, need):
    for said in sharing.claims(df):
        assert said.verdict == "not tested here" and need in said.needs


@pytest.mark.parametrize("accuracy", [1.0, 0.3])
def test_a_warm_m_tests_nothing_of_sharing(accuracy):
    df = frame(lambda *_: accuracy, warm_m=True)
    assert words(df) == ["not tested here"] * 4
    assert {v.needs for v in sharing.claims(df)} == {"an m that starts cold"}
    assert "not tested here" not in words(df.assign(warm_m=False))


def test_the_largest_size_with_enough_groups_is_judged():
    df = frame(one_seed_holds)
    few = df[df["group_size"] == SIZE].assign(group_size=12, accuracy=0.0)
    few = few.assign(group=[f"{int(g[1:3]) // 3}" for g in few["group"]])
    pairs = df[df["group_size"] == SIZE].assign(group_size=2, accuracy=0.0)
    pairs = pairs.assign(group=[f"{t[:3]}-{int(t[-1]) // 2}" for t in pairs["text"]])
    said = verdicts(pd.concat([df, few, pairs]))
    assert said["A2.share-e"].n == 12 and "groups of 4" in said["A2.share-e"].claim


def test_the_shipped_run_starts_cold_and_is_judged():
    said = sharing.claims(study(load_params("sharing", "smollm2"), compute=False))
    assert [v.id for v in said] == list(IDS)
    assert all(v.verdict != "not tested here" and v.n >= sharing.MIN_GROUPS for v in said)


def test_texts_without_all_seeds_have_no_rows():
    params = load_params("sharing", "smoke", group_sizes=(1, 2))
    study(params)
    more = params.model_copy(update={"n_seeds": 3})
    assert study(more, compute=False).empty


@pytest.mark.parametrize("seed", range(12))
def test_any_part_of_the_results_is_answered(seed):
    df = frame(one_seed_holds, n_groups=2)
    some = df.sample(n=(0, 1, 7, 60)[seed % 4], random_state=seed)
    assert {v.verdict for v in sharing.claims(some)} <= {"not tested here"}
    assert "nan" not in " ".join(sharing.table(some).to_numpy().ravel())
    assert len(sharing.figure(some).axes) == 2


def test_groups_that_lack_a_text_or_a_seed_are_left_out():
    df = frame(one_seed_holds)
    grouped = df["group_size"] == SIZE
    lacks_text = df.drop(df.index[grouped & (df["text"] == "t03-1")])
    lacks_seed = df.drop(df.index[grouped & (df["text"] == "t03-1") & (df["seed"] == 0)])
    not_alone = df.drop(df.index[~grouped & (df["text"] == "t03-1") & (df["seed"] == 0)])
    for partial in (lacks_text, lacks_seed, not_alone):
        assert list(sharing.by_group(partial, "e", SIZE).index) == [
            f"t{g:02}-0" for g in range(12) if g != 3
        ]
