"""Encoders: which are trained on what, verdicts on frames with a known answer, tables."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import encoder as experiment
from reproducer.experiments.encoder_texts import TRAINED_ON
from reproducer.readings.continuations import texts_of
from reproducer.results.known import Known, Nothing
from reproducer.texts.sources import load_texts
from tests.experiments.checks import answers_on_subsets, words

N_PASSAGES = 26


def around(mean, spread=0.05):
    """An accuracy of each passage near `mean`."""
    return lambda i: min(1.0, max(0.0, mean + spread * (-1) ** i + 0.001 * i))


PLANTED = {
    "prose": around(0.8),
    "longer": around(0.6),
    "random": around(0.4),
    "sampled": around(0.85),
    "other": around(0.1),
    "states": around(0.7),
    "embeddings": around(0.3),
    "short": around(0.0, 0.0),
    "encoded": lambda i: 10 + i % 3,
    "long": lambda i: 60 + i % 5,
}


def frame(**changed):
    """A frame as `rows` gives, of one window a passage."""
    planted = PLANTED | changed
    rows = []
    common = {"model": "smollm2-135m", "profile": "test", "n_tokens": 4, "device": "a CPU"}
    for name, source, accuracy in (
        ("trained for N = 4", "unseen", "prose"),
        ("trained for N = 16", "unseen", "longer"),
        ("trained for N = 4", "random", "random"),
        ("trained for N = 4", "sampled", "sampled"),
        ("design states", "unseen", "states"),
        ("design embeddings", "unseen", "embeddings"),
        ("design short", "unseen", "short"),
    ):
        for i in range(N_PASSAGES):
            others = dict.fromkeys(("mean", "nearest", "drawn"), planted["other"](i))
            place = {"source": source, "text": f"{source}-{i}[0]", "passage": f"{source}-{i}"}
            training = {"text_steps": 100.0, "n_parameters": 7.0}
            curve = {"curve_text_steps": [50, 100], "curve": [0.1, 0.2]}
            task = {"task": "encode", "encoder": name, "accuracy": planted[accuracy](i)}
            longer = accuracy == "longer"
            size = {"n_tokens": 16 if longer else 4, "compared": not longer}
            rows.append(common | task | others | place | training | curve | size)
    for name in ("encoded", "long"):
        for i in range(N_PASSAGES):
            step = planted[name](i)
            arrived = step or 600
            curve = np.where(np.arange(600) + 1 >= arrived, 1.0, 0.5)
            place = {"source": "unseen", "text": f"unseen-{i}[0]", "passage": f"unseen-{i}"}
            fit = {"task": "fit", "recipe": name, "accuracy": curve[-1], "curve": curve}
            ends = {"arrived": arrived, "censored": step is None}
            rows.append(common | fit | place | ends | {"compared": True})
    return pd.DataFrame(rows)


ALL_TRUE = {
    "encoder.reads": "holds",
    "encoder.own": "holds",
    "encoder.longer": "holds",
    "encoder.prose-first": "holds",
    "encoder.sampled": "holds",
    "encoder.states": "holds",
    "encoder.long": "holds",
    "encoder.sooner-than-long": "holds",
}


def test_planted_truth():
    assert words(experiment.claims(frame())) == ALL_TRUE


@pytest.mark.parametrize(
    ("planted", "claim", "word"),
    [
        ({"prose": around(0.4)}, "reads", "does not hold"),
        ({"prose": around(0.7, 0.3)}, "reads", "inconclusive"),
        ({"longer": around(0.3)}, "longer", "does not hold"),
        ({"longer": around(0.4, 0.4)}, "longer", "inconclusive"),
        # What other e give back as well was not read from the text.
        ({"other": around(0.95)}, "own", "does not hold"),
        ({"other": around(0.7, 0.3)}, "own", "inconclusive"),
        ({"random": around(0.8)}, "prose-first", "does not hold"),
        ({"random": around(0.55, 0.4)}, "prose-first", "inconclusive"),
        ({"sampled": around(0.6)}, "sampled", "does not hold"),
        ({"sampled": around(0.72, 0.3)}, "sampled", "inconclusive"),
        ({"states": around(0.2)}, "states", "does not hold"),
        ({"short": around(0.4)}, "long", "does not hold"),
        ({"short": around(0.2)}, "long", "inconclusive"),
        ({"states": around(0.5, 0.3)}, "states", "inconclusive"),
        ({"long": lambda i: 20 + i % 3}, "sooner-than-long", "does not hold"),
        ({"long": lambda i: 5 + 50 * (i % 2)}, "sooner-than-long", "inconclusive"),
        # A text that never arrives leaves the ratio open on its side.
        ({"encoded": lambda i: None if i < 3 else 1}, "sooner-than-long", "does not hold"),
        ({"long": lambda i: None if i < 3 else 60 + i}, "sooner-than-long", "holds"),
        ({"encoded": lambda i: None if i < 1 else 1}, "sooner-than-long", "inconclusive"),
    ],
)
def test_planted_untruth(planted, claim, word):
    got = words(experiment.claims(frame(**planted)))
    assert got[f"encoder.{claim}"] == word
    changed = {name for name in got if got[name] != ALL_TRUE[name]}
    of_prose = {"encoder.prose-first", "encoder.sampled", "encoder.longer"}
    assert changed <= {f"encoder.{claim}", *of_prose}


def test_windows_of_a_passage_are_not_counted_as_texts_of_their_own():
    one = frame()
    two = pd.concat([one, one.assign(text=one["text"] + "+")], ignore_index=True)
    by_id = [{v.id: v for v in experiment.claims(df)} for df in (one, two)]
    assert by_id[1]["encoder.reads"].n == N_PASSAGES
    assert by_id[1]["encoder.reads"].low == by_id[0]["encoder.reads"].low


def test_without_both_designs_or_sources_the_claim_is_not_tested():
    df = frame()
    got = words(experiment.claims(df[~df["encoder"].eq("design states")]))
    assert got["encoder.states"] == "not tested here"
    got = words(experiment.claims(df[~df["source"].eq("random")]))
    assert got["encoder.prose-first"] == "not tested here"
    got = words(experiment.claims(df[~df["source"].eq("sampled")]))
    assert got["encoder.sampled"] == "not tested here"
    got = words(experiment.claims(df[~df["encoder"].eq("trained for N = 16")]))
    assert got["encoder.longer"] == "not tested here"
    assert got["encoder.reads"] == "holds"


def test_answers_on_any_rows():
    answers_on_subsets(experiment, frame(), experiment.starts)


def test_tables_tell_shares_and_steps():
    table = experiment.table(frame(prose=lambda i: float(i % 2)))
    row = table.loc[("trained for N = 4", "unseen")]
    assert (row["tokens back"], row["whole texts"], row["N"]) == ("50%", "50%", "4")
    starts = experiment.starts(frame(long=lambda i: None if i % 2 else 60))
    assert starts.loc[(4, "long"), "arrived at 0.95"] == "0.50"
    assert starts.loc[(4, "long"), "steps to 0.95"] == "≥ 330"


def test_stretches_are_the_beginning_of_a_text_cut_up():
    params = load_params("encoder", "smoke")
    cut = experiment.stretches(params, "random", 3)
    texts = load_texts("random", "tiny", params.n_texts, 3 * params.windows)
    names = [f"{texts[0].id}[0]", f"{texts[0].id}[1]", f"{texts[1].id}[0]"]
    assert [text.id for text in cut[:3]] == names
    assert cut[1].tokens == texts[0].tokens[3:6]


def test_each_encoder_starts_at_the_one_before():
    params = load_params("encoder", "smoke", lengths=[1, 2, 2], text_steps=[8, 16, 24])
    last = experiment.encoder(params)
    assert (last.n_tokens, last.text_steps) == (2, 24)
    assert (last.begun.n_tokens, last.begun.text_steps) == (2, 16)
    assert last.begun.begun.begun is None
    readings = experiment.readings(params, Nothing())
    assert {source for _, source in readings} == {"unseen", "random"}
    names = {name for name, _ in readings}
    assert names == {
        "trained for N = 1",
        "trained for N = 2",
        *(f"design {d}" for d in params.designs),
    }


def test_longer_encoders_leave_what_is_compared_as_it_is():
    fields = {"lengths": [1, 2, 3], "text_steps": [8, 8, 8], "compared_at": 2}
    longer = load_params("encoder", "smoke", **fields, dtypes=["float32", "float32", "bfloat16"])
    base = load_params("encoder", "smoke", lengths=[1, 2], text_steps=[8, 8])
    assert experiment.compared(longer).key == experiment.encoder(base).key
    asked, known = experiment.specs(longer, Nothing()), experiment.specs(base, Nothing())
    assert {spec.key for spec in known} < {spec.key for spec in asked}
    last = experiment.encoder(longer)
    assert (last.dtype, last.begun.dtype) == ("bfloat16", "float32")


def test_designs_read_prose_wherever_it_stands_among_the_sources():
    params = load_params("encoder", "smoke", sources=["random", "unseen"])
    readings = experiment.readings(params, Nothing())
    assert {source for name, source in readings if name.startswith("design")} == {"unseen"}


def test_windows_that_are_longer_than_sampled_texts_are_refused_before_any_work():
    params = load_params("encoder", "smoke", lengths=[40], text_steps=[8])
    with pytest.raises(ReproducerError, match="at most 64 tokens together, got 80"):
        experiment.specs(params, Nothing())


def test_tables_and_notes_without_fits_and_of_several_devices():
    df = frame()
    df.loc[df["source"] == "random", "device"] = "a GPU"
    encoded = df[df["task"] == "encode"].drop(columns=["recipe", "arrived", "censored"])
    assert experiment.starts(encoded).empty
    assert "a CPU; a GPU" in experiment.note(encoded)


def test_fits_of_another_length_are_judged_by_themselves():
    df = frame()
    fits = df[df["task"] == "fit"]
    slow = np.where(fits["recipe"] == "encoded", 100, fits["arrived"])
    longer = fits.assign(n_tokens=16, compared=False, arrived=slow)
    got = words(experiment.claims(pd.concat([df, longer], ignore_index=True)))
    assert got == ALL_TRUE | {"encoder.sooner-than-long-at-16": "does not hold"}


def test_fits_are_asked_for_at_every_length_that_is_named():
    params = load_params("encoder", "smoke", fitted_at=[1, 2], recipes=["long"])
    asked = experiment.fits(params, Nothing())
    assert [spec.n_tokens for spec in asked] == [1] * 4 + [2] * 4
    assert {spec.kind for spec in asked} == {"fit", "encoded fit"}


def test_what_is_trained_on_is_not_tested_on():
    params = load_params("encoder", "smollm2")
    learned = {spec.context.id for spec in experiment.encoder(params).sampled}
    asked = {spec.context.id for spec in experiment.written(params)}
    assert len(asked) == params.n_texts and not learned & asked
    # Continuation j is drawn with seed j, and one seed makes much the same text of any opening.
    seeds = [spec.n_continuations - 1 for spec in experiment.written(params)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= max(s.n_continuations for s in experiment.encoder(params).sampled)
    assert not asked & {text.id for text in load_texts("random", params.model, params.n_texts, 4)}
    first, last = TRAINED_ON["unseen"]
    tested = {
        int(text.id.partition("[")[0].removeprefix("unseen-"))
        for text in experiment.stretches(params, "unseen", params.n_tokens)
    }
    assert not tested & set(range(first, last + 1)) and len(tested) == params.n_texts


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"lengths": [1, 2], "text_steps": [8]}, "as many text_steps as lengths"),
        ({"lengths": [2, 1]}, "lengths that do not fall"),
        ({"dtypes": ["float32"] * 5}, "as many as lengths"),
        ({"compared_at": 77}, "compared_at among the lengths"),
        ({"compared_at": 0}, "compared_at among the lengths"),
        ({"fitted_at": [1, 77]}, "fitted_at among the lengths"),
        ({"n_texts": 27}, "n_texts"),
        ({"width": 12}, "width"),
        ({"recipes": ["none"]}, "recipe"),
        ({"sources": ["seen"]}, "sources"),
    ],
)
def test_bad_parameters_are_refused(fields, fault):
    with pytest.raises(ReproducerError, match=fault):
        load_params("encoder", "smoke", **fields)


def test_the_study_computes_what_it_asks_for():
    params = load_params("encoder", "smoke")
    df = study(params, progress=False)
    assert all(spec in Known() for spec in experiment.specs(params, Known()))
    readings = experiment.readings(params, Known())
    assert (df["task"] == "encode").sum() == len(readings) * 4
    assert ("trained for N = 2", "sampled") in readings and len(readings) == 2 * 3 + 4
    first = readings["trained for N = 2", "sampled"].texts[: params.windows]
    whole = texts_of(Known().get(experiment.written(params)[0]))[-1].tokens
    assert tuple(t for text in first for t in text.tokens) == whole[: 2 * params.windows]
    assert (df["task"] == "fit").sum() == 2 * params.n_texts
    assert set(words(experiment.claims(df)).values()) == {"not tested here"}
