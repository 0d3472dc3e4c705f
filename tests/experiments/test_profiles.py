"""Profiles and parameters: overrides only, nothing unknown."""

import os

import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS, profiles
from reproducer.experiments.base import cut_note
from reproducer.experiments.profiles import PROFILES, load_params, profile_name
from reproducer.paths import ROOT


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
    fields = {"arrangements": {"n_text": 1}}
    monkeypatch.setattr(profiles, "profile_overrides", lambda profile: fields)
    with pytest.raises(ReproducerError, match="did you mean 'n_texts'"):
        load_params("arrangements", "smoke")


def test_the_repository_brings_the_listed_profiles():
    assert {path.stem for path in (ROOT / "profiles").glob("*.yaml")} >= set(PROFILES)


class TestAFileOfTheUsers:
    @pytest.fixture
    def mine(self, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text("common: {model: tiny, n_texts: 3}\narrangements: {lengths: [2]}\n")
        return path

    def test_is_given_by_its_path(self, mine, monkeypatch):
        params = load_params("arrangements", str(mine))
        assert (params.profile, params.n_texts, params.lengths) == ("mine", 3, (2,))
        monkeypatch.chdir(mine.parent.parent)
        assert load_params("arrangements", f"{mine.parent.name}/mine.yaml") == params

    def test_is_read_again_after_a_change(self, mine):
        assert load_params("noise", str(mine)).n_texts == 3
        mine.write_text("noise: {n_texts: 5}\n")
        os.utime(mine, ns=(0, 0))
        assert load_params("noise", str(mine)).n_texts == 5

    def test_in_the_repository_has_its_name_from_any_folder(self, monkeypatch):
        monkeypatch.chdir(ROOT / "notebooks")
        for path in ("profiles/smoke.yaml", "../profiles/smoke.yaml"):
            assert load_params("noise", path) == load_params("noise", "smoke")
            assert profile_name(path) == "smoke"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("arangements: {}", "unknown experiment in .*mine.yaml 'arangements'"),
            ("arrangements: {length: [1]}", "did you mean 'lengths'"),
            ("common: {n_text: 1}", "did you mean 'n_texts'"),
            ("common: {n_texts: 0}", "greater than or equal to 1, got 0"),
            ("common: 3", "expected fields under 'common', got 3"),
            ("- 3", r"expected experiments with fields, got \[3\]"),
            ("common: {", "expected a profile in YAML"),
        ],
    )
    def test_with_faults(self, mine, content, message):
        mine.write_text(content)
        with pytest.raises(ReproducerError, match=message):
            load_params("arrangements", str(mine))

    def test_a_field_of_some_experiments_may_stand_for_all(self, mine):
        mine.write_text("common: {lengths: [3]}")
        assert load_params("arrangements", str(mine)).lengths == (3,)
        assert load_params("noise", str(mine)).profile == "mine"

    def test_must_exist_and_have_a_name_of_its_own(self, mine):
        with pytest.raises(ReproducerError, match="expected a file, got none there"):
            load_params("noise", str(mine.with_name("nowhere.yaml")))
        with pytest.raises(ReproducerError, match="got 'quick'"):
            load_params("noise", str(mine.rename(mine.with_name("quick.yaml"))))


class TestABase:
    @pytest.fixture
    def write(self, tmp_path):
        """Writes a profile's file, and returns its path."""

        def written(name, content):
            path = tmp_path / f"{name}.yaml"
            path.write_text(content.replace("HERE", str(tmp_path)))
            return str(path)

        return written

    def test_is_overridden_field_by_field(self, write):
        small = "common: {model: tiny, n_texts: 3}\nnoise: {n_tokens: 5, n_draws: 4, n_texts: 7}"
        write("small", small)
        mine = write("mine", "base: HERE/small.yaml\ncommon: {n_texts: 2}\nnoise: {n_draws: 6}")
        params = load_params("noise", mine)
        assert (params.profile, params.model) == ("mine", "tiny")
        # What the base says of one experiment stands above what its heir says of all.
        assert (params.n_tokens, params.n_draws, params.n_texts) == (5, 6, 7)
        assert load_params("readout", mine).n_texts == 2

    def test_may_have_a_base_itself_and_be_named(self, write):
        write("middle", "base: smoke\nnoise: {n_draws: 4}")
        mine = load_params("noise", write("mine", "base: HERE/middle.yaml\nnoise: {n_texts: 9}"))
        smoke = load_params("noise", "smoke")
        assert mine == smoke.model_copy(update={"profile": "mine", "n_draws": 4, "n_texts": 9})

    def test_null_takes_nothing_of_it(self, write):
        write("small", "noise: {n_tokens: 5}\nreadout: {n_tokens: 5}")
        mine = write("mine", "base: HERE/small.yaml\nnoise: null\nreadout: {}")
        assert load_params("noise", mine).n_tokens == load_params("noise", "paper").n_tokens
        assert load_params("readout", mine).n_tokens == 5

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("base: HERE/mine.yaml", "got mine.yaml → mine.yaml"),
            ("base: HERE/small.yaml", "does not lead back, got mine.yaml → small.yaml → mine.yaml"),
            ("base: smol", "unknown profile 'smol'"),
            ("base: [smoke]", r"unknown profile \['smoke'\]"),
            ("base: nowhere.yaml", "expected a file, got none there"),
            ("base: HERE/wrong.yaml", "unknown experiment in .*wrong.yaml 'nois'"),
            ("bas: smoke", "did you mean 'base'"),
        ],
    )
    def test_with_faults(self, write, content, message):
        write("small", "base: HERE/mine.yaml")
        write("wrong", "nois: {}")
        with pytest.raises(ReproducerError, match=message):
            load_params("noise", write("mine", content))


def test_a_page_says_what_was_cut():
    note = cut_note(load_params("anchoring", "paper", n_texts=3, lengths=(8,)))
    assert "n_texts 3 instead of 50" in note and "lengths 8 instead of 8, 16, 32, 64" in note
    assert "weights" not in note
    # What an experiment does not read is no cut.
    note = cut_note(load_params("distillation", "paper", n_texts=3, weights=(0, 10)))
    assert note == "Against the papers' protocol: weights 0.0, 10.0 instead of 0.0, 1.0, 10.0."
    assert cut_note(load_params("noise", "paper")) == "The papers' protocol."
