"""What cannot be met is told before anything is computed, and what can be met is not refused."""

import pytest

from reproducer import load_params, study
from reproducer.app import cli
from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.check import check, longest_input, models_of
from reproducer.experiments.profiles import PROFILES
from reproducer.experiments.study import wanted
from reproducer.results import run
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.solver.arrangements import arrangement

# The longest text that each experiment can take on the tiny model, whose positions are 256.
LONGEST = {
    "arrangements": ("lengths", 254),  # two inputs before the first that predicts
    "second_position": ("lengths", 255),
    "first_position": ("n_tokens", 256),  # no input before the first that predicts
    "sharing": ("n_tokens", 255),
    "capacity": ("lengths", 255),
    "information": ("lengths", 254),
    "throughput": ("lengths", 255),
    "training_time": ("lengths", 255),
    "distances": ("n_tokens", 239),  # after the beginning of text and 16 tokens of context
    "same_context": ("n_tokens", 239),
    "connectivity": ("n_tokens", 255),
    "readout": ("n_tokens", 249),  # six new tokens after the beginning and the text
    "attention": ("n_tokens", 255),
    "noise": ("n_tokens", 255),
    "semantics": ("lengths", 255),
    "syntax": ("n_tokens", 255),
    "anchoring": ("lengths", 255),
    "distillation": ("n_tokens", 255),
    "recipes": ("n_tokens", 255),
    "precision": ("lengths", 255),
    "encoder": ("lengths", 255),
    "encoded_space": ("lengths", 255),
    "architecture": ("lengths", 255),
}


def with_length(name, n_tokens):
    field, _ = LONGEST[name]
    value = (n_tokens,) if field == "lengths" else n_tokens
    # As many stages as lengths; sampled texts have 64 tokens at most, whatever the model can read.
    alone = {"text_steps": (8,), "sources": ("unseen",)} if name.startswith("encode") else {}
    return load_params(name, "smoke", **{field: value}, **alone)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_lengths_up_to_the_last_position(name):
    _, longest = LONGEST[name]
    check(with_length(name, longest))
    with pytest.raises(ReproducerError, match=r"at most its 256 positions, got 257"):
        check(with_length(name, longest + 1))


ONE_ROUND = ["arrangements", "second_position", "first_position", "precision", "training_time"]


@pytest.mark.parametrize("name", ONE_ROUND)
def test_the_longest_input_is_that_of_the_longest_fit(name):
    params = load_params(name, "smoke")
    fits = [spec for spec in wanted(params, Known()) if isinstance(spec, FitSpec)]
    inputs = [arrangement(fit.arrangement).n_inputs(fit.n_tokens) for fit in fits]
    assert longest_input(params) == max(inputs)


@pytest.mark.parametrize("profile", [p for p in PROFILES if p != "paper"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_profiles_can_be_met(name, profile):
    params = load_params(name, profile)
    check(params)
    assert models_of(params)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("distances", {"n_tokens": 300}, "at most its 256 positions, got 317"),
        ("readout", {"n_new_tokens": 400}, "at most its 256 positions"),
        ("capacity", {"sources": ["generated:unseen"], "lengths": [200]}, "256 positions, got 329"),
        ("arrangements", {"source": "random", "lengths": [10**6]}, "at most its 256 positions"),
        ("arrangements", {"source": "random", "n_texts": 1001}, "at most 1000 texts"),
        ("arrangements", {"n_texts": 53}, "it holds 52 texts in all"),
        ("arrangements", {"n_texts": 52, "lengths": [254]}, ""),
        ("arrangements", {"model": ""}, "unknown model ''"),
        ("arrangements", {"model": "x" * 5000}, "unknown model 'xxx"),
        ("arrangements", {"model": "a b/c"}, "expected a causal language model in a b/c"),
        ("first_position", {"controls": ["random:tyni"]}, "did you mean 'tiny'"),
        ("training_time", {"models": ["tyni"]}, "did you mean 'tiny'"),
        ("anchoring", {"teacher": "all-minilm-l6-v2"}, "the model's width 32"),
        ("arrangements", {"recipe": "fast"}, "model 'tiny' has none called 'shared-12'"),
        ("throughput", {"lengths": [0]}, "greater than or equal to 1, got 0"),
        ("precision", {"lengths": [0]}, "at least 1"),
        ("syntax", {"n_tokens": 3}, "try another n_tokens"),
    ],
)
def test_nothing_is_computed_before_the_error(name, fields, message, monkeypatch):
    monkeypatch.setattr(run, "computing", None)
    params = load_params(name, "smoke", **fields)
    if not message:
        assert wanted(params, Known())
        return
    for ask in (lambda: study(params), lambda: wanted(params, Known())):
        with pytest.raises(ReproducerError, match=message) as caught:
            ask()
        assert len(str(caught.value)) < 600


def test_of_several_experiments_all_are_planned_before_the_first_is_run(monkeypatch):
    monkeypatch.setattr(run, "computing", None)
    with pytest.raises(ReproducerError, match="'distances' on 'tiny': .* got 267"):
        cli.run(["sharing", "distances"], "smoke", ["n_tokens=250"])
