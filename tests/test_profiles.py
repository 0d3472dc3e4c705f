"""Profiles and parameters: overrides only, nothing unknown."""

import pytest

from reproducer import profiles
from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS
from reproducer.profiles import PROFILES, load_params


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
