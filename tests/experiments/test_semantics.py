"""B3: specs and frames on the tiny model."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import semantics as experiment
from reproducer.readings.paraphrases import ParaphraseSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result
from reproducer.texts.families import FAMILIES, Family
from reproducer.texts.sentence_encoder import encode


def fits(params):
    return experiment.fits(params, experiment.families_of(params, Known()))


def test_texts_are_new_in_the_part_that_is_fitted():
    params = load_params("semantics", "smoke", n_lexical=6, n_paraphrases=9)
    (shared,) = (s for s in fits(params) if s.share == "m")
    assert len(shared.texts) == len({t.tokens for t in shared.texts}) == 3 * 16
    assert {len(t.tokens) for t in shared.texts} == {params.n_tokens}
    kinds = pd.Series([t.id.split("/")[1] for t in shared.texts]).value_counts()
    assert kinds.to_dict() == {"original": 3, "lexical": 18, "paraphrase": 27}


def test_whole_texts_cannot_share_m():
    whole = load_params("semantics", "smoke").model_dump() | {"n_tokens": None}
    with pytest.raises(ValueError, match="expected n_tokens for a shared m"):
        experiment.Params(**whole)
    own = experiment.Params(**whole | {"shares": ("none",)})
    assert len({s.n_tokens for s in fits(own)}) > 1


def test_too_long_a_cut_names_the_text():
    with pytest.raises(ReproducerError, match="expected a length between 1 and its"):
        fits(load_params("semantics", "smoke", n_tokens=150, n_lexical=0))


def test_unknown_source():
    with pytest.raises(ReproducerError, match="parameter source of 'semantics'"):
        load_params("semantics", "smoke", source="seen")


def test_originals_without_paraphrases_are_first_rewritten(monkeypatch):
    families = [Family(f"f{i}", f"Original number {i} of the test.", None) for i in range(2)]
    monkeypatch.setitem(FAMILIES, "dolly", lambda: iter(families))
    monkeypatch.setattr(
        experiment,
        "ParaphraseSpec",
        lambda original: ParaphraseSpec(model="tiny", original=original),
    )
    params = load_params("semantics", "smoke", source="dolly", n_texts=2, n_lexical=0)
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
