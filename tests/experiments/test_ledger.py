"""The ledger that is shipped is the one that the shipped results give."""

import json

import pytest

from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.ledger import VERDICTS, inputs_digest, verdicts_of
from reproducer.experiments.profiles import SHIPPED, load_params
from reproducer.experiments.study import wanted
from reproducer.paths import shipped_dir
from reproducer.results.known import Known


@pytest.fixture(scope="module")
def shipped():
    return json.loads((shipped_dir() / f"ledger-{SHIPPED}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPERIMENTS)
class TestShipped:
    def test_every_result_is_shipped(self, name):
        known = Known()
        missing = [s for s in wanted(load_params(name, SHIPPED), known) if s not in known]
        assert not missing

    def test_its_verdicts_are_those_that_follow(self, name, shipped):
        """`reproduce pack` writes them anew, after any change of results or of code."""
        params = load_params(name, SHIPPED)
        assert shipped[name]["inputs"] == inputs_digest(params, Known())
        kept = VERDICTS.validate_python(shipped[name]["verdicts"])
        for old, new in zip(kept, verdicts_of(params, fresh=True), strict=True):
            assert (old.id, old.verdict, old.n) == (new.id, new.verdict, new.n)
            for number in ("ours", "low", "high"):
                # Another processor may round otherwise.
                assert getattr(old, number) == pytest.approx(getattr(new, number), rel=1e-6)
