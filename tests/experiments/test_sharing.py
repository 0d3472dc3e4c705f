"""Sharing: group sizes, the paper's two aggregates, the verdicts."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import sharing
from reproducer.experiments.profiles import load_params

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_sharing")


@pytest.fixture(scope="module")
def made_up():
    """16 texts alone and in one group, 5 seeds; every seed solves some of the texts."""
    rows = []
    draw = np.random.default_rng(0)
    for shared in sharing.ROLES:
        for size in (1, 16):
            for t in range(16):
                for seed in range(5):
                    right = 1.0 if size == 1 or seed == t % 5 else draw.uniform(0.2, 0.6)
                    group = f"t{t}" if size == 1 else "t0"
                    rows.append((shared, size, f"t{t}", group, seed, right))
    columns = ["shared", "group_size", "text", "group", "seed", "accuracy"]
    return pd.DataFrame(rows, columns=columns).assign(model="smollm2-135m", profile="smollm2")


def test_group_sizes_must_divide_the_texts():
    with pytest.raises(ReproducerError, match=r"divide the 6 texts \(\[1, 2, 3, 6\]\).*4"):
        load_params("sharing", "smoke", n_texts=6, group_sizes=[1, 4])
    with pytest.raises(ReproducerError, match="group_sizes"):
        load_params("sharing", "smoke", n_texts=6, group_sizes=[0])


def test_smoke(tiny):
    params = load_params("sharing", "smoke")
    specs = sharing.specs(params)
    # 4 texts alone, 2 pairs and 1 group of four for each of two roles; two seeds of each.
    assert len(specs) == 2 * (4 + 2 * (2 + 1)) == len({spec.key for spec in specs})
    assert sharing.collect(params, compute_missing=False).empty
    df = sharing.collect(params)
    assert len(df) == 2 * 2 * 3 * 4
    assert sharing.claims(df) == []
    pd.testing.assert_frame_equal(df, sharing.collect(params, compute_missing=False))
    assert len(sharing.figure(df).axes) == 2


def test_max_and_avg_are_the_papers(made_up):
    table = sharing.table(made_up)
    ours = table["ours (smollm2-135m)", 16]
    chosen = made_up[(made_up["shared"] == "e") & (made_up["group_size"] == 16)]
    best = chosen.groupby("text")["accuracy"].max()
    assert ours["e", "max"] == f"{best.mean():.2f} ± {best.std(ddof=0):.2f}" == "1.00 ± 0.00"
    mean, std = chosen["accuracy"].mean(), chosen["accuracy"].std(ddof=0)
    assert ours["e", "avg"] == f"{mean:.2f} ± {std:.2f}"
    by_group = chosen.groupby("seed")["accuracy"].mean().max()
    assert ours["e", "max, one seed a group"] == f"{by_group:.2f} ± 0.00"
    assert table["paper (Llama-3.2-1B)", 256]["m", "avg"] == "0.83 ± 0.18"


def test_verdicts_follow_the_numbers(made_up):
    verdicts = {v.id: v for v in sharing.claims(made_up)}
    assert set(verdicts) == {f"A2.{what}-{role}" for what in ("share", "restarts") for role in "em"}
    assert verdicts["A2.share-e"].verdict == "reproduced"
    assert verdicts["A2.share-e"].ours == 0
    assert verdicts["A2.restarts-m"].verdict == "reproduced"
    worse = made_up.assign(accuracy=made_up["accuracy"].where(made_up["group_size"] == 1, 0.3))
    assert sharing.claims(worse)[0].verdict == "not reproduced"
    few = made_up[made_up["seed"] < 3]
    assert {v.verdict for v in sharing.claims(few)} == {"not tested at this scale"}
    alone = made_up[made_up["group_size"] == 1]
    assert {v.ours for v in sharing.claims(alone)} == {None}
