"""B3: specs and frames on the tiny model; measures and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import semantics as experiment
from reproducer.experiments import semantics_measures as measures
from reproducer.readings import paraphrases
from reproducer.readings.paraphrases import ParaphraseSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result
from reproducer.texts.families import FAMILIES, Family
from reproducer.texts.sentence_encoder import encode
from tests.experiments.frames import answers_any_part_of, fit_columns, words


def fits(params):
    return [s for s in experiment.specs(params, Known()) if s.kind == "fit"]


def test_texts_are_new_in_the_part_that_is_fitted():
    params = load_params("semantics", "smoke", n_lexical=6, n_paraphrases=9, common_start=())
    (shared,) = (s for s in fits(params) if s.share == "m")
    assert len(shared.texts) == len({t.tokens for t in shared.texts}) == 3 * 16
    assert {len(t.tokens) for t in shared.texts} == {*params.lengths}
    kinds = pd.Series([t.id.split("/")[1] for t in shared.texts]).value_counts()
    assert kinds.to_dict() == {"original": 3, "lexical": 18, "paraphrase": 27}


def test_whole_texts_cannot_share_m():
    whole = load_params("semantics", "smoke").model_dump() | {"lengths": (None,)}
    with pytest.raises(ValueError, match="expected lengths in tokens for a shared m"):
        experiment.Params(**whole)
    own = experiment.Params(**whole | {"shares": ("none",)})
    assert len({s.n_tokens for s in fits(own)}) > 1


def test_too_long_a_cut_names_the_text():
    with pytest.raises(ReproducerError, match="expected a length between 1 and its"):
        fits(load_params("semantics", "smoke", lengths=(150,), n_lexical=0))


def test_unknown_source_and_recipes_without_a_common_start():
    with pytest.raises(ReproducerError, match="parameter source of 'semantics'"):
        load_params("semantics", "smoke", source="seen")
    with pytest.raises(ReproducerError, match="expected a recipe with a common start, got 'fast'"):
        load_params("semantics", "smoke", common_start=("fast",))


def test_originals_without_paraphrases_are_first_rewritten(monkeypatch):
    families = [Family(f"f{i}", f"Original number {i} of the test.", None) for i in range(2)]
    monkeypatch.setitem(FAMILIES, "dolly", lambda: iter(families))
    monkeypatch.setattr(
        paraphrases,
        "ParaphraseSpec",
        lambda original: ParaphraseSpec(model="tiny", original=original),
    )
    params = load_params(
        "semantics", "smoke", source="dolly", n_texts=2, n_lexical=0, common_start=()
    )
    known = Known()
    first = experiment.specs(params, known)
    assert [s.kind for s in first] == ["paraphrases"] * 2
    assert experiment.rows(params, known).empty
    for spec in first:
        texts = [f"{word} number of {spec.original}" for word in ("Some", "Another")]
        known.store.put(Result(spec.key, spec.model_dump(mode="json"), {"texts": texts}))
    kinds = [s.kind for s in experiment.specs(params, known)]
    assert kinds == ["paraphrases"] * 2 + ["fit"] * (6 + 1) + ["sentence_vectors"]


def test_frame_has_the_encoder_s_vector_of_what_was_fitted(tiny):
    frame = study(load_params("semantics", "smoke"))
    texts = frame.drop_duplicates("text")
    assert len(texts) == 3 * 4 and set(frame["share"]) == {"none", "m"}
    expected = encode([tiny.card.tokenizer.decode(t) for t in texts["tokens"]])
    np.testing.assert_allclose(np.stack(texts["encoder"].to_list()), expected, atol=1e-6)
    assert set(frame["start"]) == {"own", "common"}
    assert set(words(experiment, frame).values()) == {"not tested here"}
    assert len(experiment.table(frame)) == 2 * 2 * (5 + 3)


def test_vectors_from_a_common_start_are_displacements():
    params = load_params("semantics", "smoke", n_texts=2, shares=("none",))
    frame, known = study(params), Known()
    (spec, *_) = [s for s in fits(params) if s.recipe.start == "common"]
    fit = known.get(spec)
    row = frame[(frame["start"] == "common") & (frame["text"] == spec.texts[0].id)].iloc[0]
    moved = fit.arrays["rows"] - spec.start(fit.arrays["rows"].shape[1]).numpy()
    np.testing.assert_allclose(row["e"], moved[0], atol=1e-6)
    own = frame[(frame["start"] == "own") & (frame["text"] == spec.texts[0].id)].iloc[0]
    own_spec = next(s for s in fits(params) if s.recipe.start == "own")
    np.testing.assert_array_equal(own["m"], known.get(own_spec).arrays["rows"][1])


def planted(e=0.0, m=0.0, n=24, start="common", lexical=None, encoder=3.0, seed=1, **columns):
    """Families whose vectors lie around a centre of their own, as strongly as `e` and `m` say."""
    draw, rows = np.random.default_rng(seed), []
    for family in range(n):
        centre = {name: draw.normal(size=20) for name in ("e", "m", "encoder")}
        for number, kind in enumerate(["original", "lexical", "lexical"] + ["paraphrase"] * 3):
            pull = {"e": e, "m": m, "encoder": encoder}
            if kind == "lexical" and lexical is not None:
                pull |= {"e": lexical, "m": lexical}
            vectors = {k: pull[k] * centre[k] + draw.normal(size=20) for k in pull}
            text = f"f{family:02d}/{kind}/{number}"
            tokens = tuple(int(t) for t in draw.integers(0, 500, 8))
            labels = {"text": text, "family": f"f{family:02d}", "kind": kind, "length": "8"}
            rows.append(fit_columns(**labels, tokens=tokens, n_tokens=8, start=start, **vectors))
    recipe = "canonical" if start == "common" else "paper"
    return pd.DataFrame(rows).assign(recipe=recipe, **columns)


CASES = [((0.0, 1.5), "for"), ((1.5, 0.0), "against"), ((0.0, 0.3), "open")]
WORDS = {
    "own": {"for": "reproduced", "against": "contradicted", "open": "inconclusive"},
    "common": {"for": "holds", "against": "does not hold", "open": "inconclusive"},
}


@pytest.mark.parametrize("start", ["own", "common"])
@pytest.mark.parametrize("vectors, outcome", CASES)
def test_meaning(start, vectors, outcome):
    n = 14 if outcome == "open" else 24
    said = words(experiment, planted(*vectors, n=n, start=start))
    here, there = "B3.meaning", "B3.meaning-common-start"
    here, there = (here, there) if start == "own" else (there, here)
    assert said[here] == WORDS[start][outcome] and said[there] == "not tested here"
    assert (said["B3.e"] == "not tested here") == (start == "own")


@pytest.mark.parametrize("token", ["e", "m"])
@pytest.mark.parametrize(
    "pull, word", [(1.5, "holds"), (0.0, "does not hold"), (0.35, "inconclusive")]
)
def test_either_vector_by_itself(token, pull, word):
    n = 14 if word == "inconclusive" else 40
    said = words(experiment, planted(**{token: pull}, n=n))
    assert said[f"B3.{token}"] == word
    assert said["B3.m" if token == "e" else "B3.e"] in ("does not hold", "inconclusive")


def test_every_length_must_hold_and_the_longest_tells_of_one_vector():
    short, long = planted(0.0, 1.5), planted(0.0, 0.0, seed=2).assign(length="16")
    verdicts = {v.id: v for v in experiment.claims(pd.concat([short, long]))}
    both = verdicts["B3.meaning-common-start"]
    assert both.verdict == "does not hold" and len(both.parts) == 2
    assert verdicts["B3.m"].verdict == "does not hold"
    verdicts = {v.id: v for v in experiment.claims(pd.concat([long, short]))}
    assert verdicts["B3.m"].verdict == "holds"


def test_misspelt_variants_do_not_speak_for_meaning():
    said = words(experiment, planted(lexical=3.0, n=40))
    assert said["B3.e"] == said["B3.m"] == "does not hold"
    numbers = experiment.measured(planted(lexical=3.0))["auc"]
    by_kind = numbers.xs("e", level="vector").droplevel([0, 1, 2, 3])
    assert by_kind["misspelt variants"].estimate > 0.6 > by_kind["paraphrases"].estimate


def test_what_cannot_be_tested():
    assert experiment.claims(pd.DataFrame()) == []
    true = planted(0.0, 1.5)
    for frame, need in (
        (planted(0.0, 1.5, encoder=0.0), "that the encoder tells apart"),
        (true.assign(encoder=None), "that the encoder tells apart"),
        (true.assign(warm_m=True), "m of their own that starts free"),
        (true.assign(share="m"), "m of their own that starts free"),
        (true.assign(min_accuracy=0.5), "solved to 0.9"),
        (true.assign(model="tiny"), "a trained model"),
        (planted(0.0, 1.5, n=8), "12 or more"),
    ):
        verdicts = experiment.claims(frame)
        assert {v.verdict for v in verdicts} == {"not tested here"}
        assert any(need in v.needs for v in verdicts), need


def test_any_part_of_the_results_is_shown():
    df = pd.concat([planted(0.5, 1.0, n=6), planted(n=6, start="own")], ignore_index=True)
    answers_any_part_of(experiment, df)
    for part in (df, df.iloc[:3], df.assign(share="m"), df.assign(encoder=None)):
        assert isinstance(experiment.figure(part), Figure)
        assert isinstance(experiment.map_figure(part), Figure)


def test_seeds_are_averaged_family_by_family():
    one, two = planted(1.0), planted(0.0, seed=2).assign(seed=1)
    tables = [measures.wins(part, "e") for part in (one, two)]
    both = measures.wins(pd.concat([one, two]), "e")
    np.testing.assert_allclose(both, (tables[0] + tables[1]) / 2)


def test_length_alone_may_tell_families_apart():
    df = planted(n=12)
    assert measures.distances_of(df, "number of tokens") is None
    longer = df.assign(n_tokens=8 + df["family"].str[1:].astype(int))
    won = measures.wins(measures.usable(longer, "paraphrase"), "number of tokens")
    assert won.stack().min() == 1


def test_the_agreement_is_that_over_all_pairs():
    df = measures.usable(planted(1.0, n=12), "paraphrase")
    e, encoder = (np.stack(df[name].to_list()) for name in ("e", "encoder"))
    above = np.triu_indices(len(df), 1)
    cosines = [(x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2))[above] for x in (e, encoder)]
    assert measures.agreement(df, "e").estimate == pytest.approx(np.corrcoef(*cosines)[0, 1])


def test_a_bag_knows_which_tokens_there_are():
    df = planted(n=1).iloc[:3]
    df["tokens"] = [(1, 2, 90), (2, 3, 90), (4, 4, 5)]
    expected = 1 - np.array([[1, 2 / 3, 0], [2 / 3, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(measures.distances_of(df, "bag of tokens"), expected, atol=1e-12)


def test_families_that_lost_their_variants_are_left_out():
    df = planted(n=4)
    lost = (df["family"] == "f01") & (df["kind"] == "paraphrase")
    kept = measures.usable(df.assign(accuracy=np.where(lost, 0.0, 1.0)), "paraphrase")
    assert set(kept["family"]) == {"f00", "f02", "f03"}
    assert set(kept["kind"]) == {"original", "paraphrase"}
