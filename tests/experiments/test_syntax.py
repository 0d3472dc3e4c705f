"""B4: specs and frames on the tiny model."""

import subprocess
import sys

import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import syntax as experiment
from reproducer.results.known import Known


def test_lengths_match_across_classes():
    params = load_params("syntax", "smoke", n_texts=6)
    matched = experiment.condition_texts(params, "matched")
    assert len(matched) == 7 * 6 and {len(t.tokens) for t in matched} == {params.n_tokens}
    groups = [t.id.split("/")[2] for t in matched[:6]]
    assert groups == ["0", "1", "2", "3", "0", "1"]
    assert len({len(t.tokens) for t in experiment.condition_texts(params, "free")}) > 5


def test_length_tells_classes_apart_unless_it_is_matched():
    lengths = experiment.length_table(load_params("syntax", "smoke", n_texts=12))
    told = lengths.loc["class told by length"].astype(float)
    assert told["matched"] <= 1 / 7 + 0.01 < 0.2 < told["free"]


def test_impossible_length_of_a_class(monkeypatch):
    monkeypatch.setattr(experiment, "ATTEMPTS", 100)
    with pytest.raises(ReproducerError, match="expected 1 sentences of 3 tokens from vocabulary"):
        experiment.specs(load_params("syntax", "smoke", n_tokens=3), Known())


def test_specs_of_the_shipped_profile_derive_no_sentence():
    code = (
        "import sys; from reproducer import load_params, Known\n"
        "from reproducer.experiments import syntax\n"
        "assert len(syntax.specs(load_params('syntax', 'smollm2'), Known())) == 168\n"
        "heavy = {'nltk', 'torch', 'sklearn'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_frame_knows_condition_class_and_group():
    params = load_params("syntax", "smoke")
    frame = study(params)
    assert len(frame) == 7 * 4 and set(frame["condition"]) == {"matched"}
    assert (frame.groupby("class")["group"].nunique() == 4).all()
    assert frame["e"].iloc[0].shape == frame["m"].iloc[0].shape == (32,)
