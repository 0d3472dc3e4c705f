"""The ledger that is shipped is the one that the shipped results give."""

import json
import math

import pytest

from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.ledger import VERDICTS, inputs_digest, verdicts_of
from reproducer.experiments.profiles import SHIPPED, load_params
from reproducer.experiments.study import wanted
from reproducer.paths import shipped_dir
from reproducer.results.known import Known


def _numbers(verdict):
    values = (verdict.ours, verdict.low, verdict.high)
    return [math.nan if value is None else value for value in values]


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
        fresh = VERDICTS.dump_python(verdicts_of(params, fresh=True), mode="json")
        for old, new in zip(kept, VERDICTS.validate_python(fresh), strict=True):
            assert (old.id, old.verdict, old.n) == (new.id, new.verdict, new.n)
            # Another processor may round otherwise.
            assert _numbers(old) == pytest.approx(_numbers(new), rel=1e-6, abs=1e-9, nan_ok=True)
