"""Profiles and parameters: overrides only, nothing unknown."""

import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS, profiles
from reproducer.experiments.base import cut_note
from reproducer.experiments.profiles import PROFILES, load_params


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_loads_under_every_profile(profile, experiment):
    assert load_params(experiment, profile).profile == profile


def test_none_keeps_the_profile_and_a_value_wins():
    assert load_params("arrangements", "smoke", n_texts=None).n_texts == 2
    assert load_params("arrangements", "smoke", n_texts=5).n_texts == 5


def test_unknown_names_and_values():
    with pytest.raises(ReproducerError, match="did you mean 'smoke'"):
        load_params("arrangements", "smok")
    with pytest.raises(ReproducerError, match="did you mean 'lengths'"):
        load_params("arrangements", "smoke", length=(1,))
    with pytest.raises(ReproducerError, match="parameter n_texts of 'arrangements'"):
        load_params("arrangements", "smoke", n_texts="many")


def test_unknown_keys_in_a_profile_fail(monkeypatch):
    monkeypatch.setattr(profiles, "profile_overrides", lambda profile: {"arangements": {}})
    with pytest.raises(ReproducerError, match="unknown experiment in profiles/smoke.yaml"):
        load_params("arrangements", "smoke")
    fields = {"arrangements": {"n_text": 1}}
    monkeypatch.setattr(profiles, "profile_overrides", lambda profile: fields)
    with pytest.raises(ReproducerError, match="did you mean 'n_texts'"):
        load_params("arrangements", "smoke")


def test_a_page_says_what_was_cut():
    note = cut_note(load_params("anchoring", "paper", n_texts=3, lengths=(8,)))
    assert "n_texts 3 instead of 50" in note and "lengths 8 instead of 8, 16, 32, 64" in note
    assert "weights" not in note
    # What an experiment does not read is no cut.
    note = cut_note(load_params("distillation", "paper", n_texts=3, weights=(0, 10)))
    assert note == "Against the papers' protocol: weights 0.0, 10.0 instead of 0.0, 1.0, 10.0."
    assert cut_note(load_params("noise", "paper")) == "The papers' protocol."
