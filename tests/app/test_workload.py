"""The size of a problem, its FLOP, and how long batches take, against what is really done."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from reproducer.app.workload import Fit, Place, batches, seconds, totals
from reproducer.models.peak import step_flops
from reproducer.readings.curves import CurveSpec, End
from reproducer.readings.mem_vectors import MemSpec
from reproducer.readings.reach import ReachSpec
from reproducer.results.specs import Result
from reproducer.solver.arrangements import ARRANGEMENTS
from reproducer.solver.calibrate import Speed
from reproducer.solver.recipes import recipe
from reproducer.solver.slots import Slots
from tests.results.samples import fit_of, text

CPU = torch.device("cpu")


class TestSize:
    """What a spec says of its problem, against the problem that is solved."""

    def same(self, lm, spec, problem):
        size = spec.size
        assert problem.index.shape == (size.n_sequences, size.n_inputs)
        assert problem.targets.shape == (size.n_sequences, size.n_tokens)
        assert len(problem.rows) == size.n_rows

    @pytest.mark.parametrize("share", ["none", "m", "e"])
    @pytest.mark.parametrize("name", sorted(ARRANGEMENTS))
    def test_of_a_fit(self, tiny, name, share):
        spec = fit_of(text(3), text(3, 9), arrangement=name, share=share, copies=2)
        self.same(tiny, spec, spec.problem(tiny))

    @pytest.mark.parametrize("first", ["mem", "bos", "t1"])
    @pytest.mark.parametrize("n_mem", [1, 2])
    def test_of_memory_vectors(self, tiny, first, n_mem):
        fields = {"text": text(5), "first": first, "n_mem": n_mem, "recipe": recipe("paper")}
        spec = MemSpec(model="tiny", **fields)
        self.same(tiny, spec, spec.problem(tiny))

    @pytest.mark.parametrize("before", [(), (3, 4)])
    def test_of_a_word(self, tiny, before):
        spec = ReachSpec(model="tiny", recipe=recipe("paper", 5), word=7, before=before)
        self.same(tiny, spec, spec.problem(tiny))

    @pytest.mark.parametrize("shared", [True, False])
    def test_of_a_curve(self, tiny, shared):
        one = fit_of(text(3), share="m", copies=2)
        ends = (
            (End(fit=one), End(fit=one, sequence=1))
            if shared
            else (End(fit=fit_of(text(3))), End(fit=fit_of(text(3), seed=1)))
        )
        spec = CurveSpec(model="tiny", recipe=recipe("paper", 5), ends=ends)
        needed = [Result("", {}, {}, {"rows": end.fit.start(tiny.d_model).numpy()}) for end in ends]
        self.same(tiny, spec, spec.problem(tiny, needed))


@pytest.mark.parametrize(("n_sequences", "n_tokens"), [(1, 1), (3, 7), (2, 40)])
def test_flop_equal_a_count_of_a_real_step(tiny, n_sequences, n_tokens):
    """PyTorch's own counter sees every product of the solver's step."""
    spec = fit_of(*(text(n_tokens, mark) for mark in range(n_sequences)))
    problem = spec.problem(tiny)
    slots = Slots.empty(1, problem, spec.recipe, CPU)
    slots.admit(0, problem)
    with FlopCounterMode(display=False) as counter:
        slots.backward(tiny.decoder(), torch.float32, n_sequences)
    size = spec.size
    expected = size.n_sequences * step_flops(tiny.hf, size.n_inputs, size.n_tokens)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-9)
    assert totals([Fit(spec, 5, 2.0)]).flop == pytest.approx(5 * expected)
    assert totals([Fit(spec, 5, 2.0)], expected=True).flop == pytest.approx(2 * expected)


class TestSeconds:
    def test_a_batch_takes_the_steps_of_its_longest_fit(self):
        fits = [Fit(fit_of(text(4, mark)), 100, steps) for mark, steps in enumerate((10, 20, 90))]
        place, speed = Place(CPU, max_inputs=15), Speed(1.0, 0.0)
        assert place.batch(fits[0].spec.size, 3) == 3
        assert seconds(fits, place, speed, expected=True) == 90
        assert seconds(fits, place, speed) == 100

    def test_freed_slots_are_filled(self):
        """Six fits in two slots: three after one another in each."""
        fits = [Fit(fit_of(text(4, mark)), 100, 30.0) for mark in range(6)]
        place, speed = Place(CPU, max_inputs=10), Speed(1.0, 0.0)
        assert place.batch(fits[0].spec.size, 6) == 2
        assert seconds(fits, place, speed) == 300
        assert seconds(fits, place, speed, expected=True) == 90

    def test_a_group_that_is_too_large_goes_through_in_parts(self):
        fits = [Fit(fit_of(*(text(4, mark) for mark in range(7)), share="m"), 100, 100)]
        place = Place(CPU, max_inputs=15)
        passes = place.passes(fits[0].spec.size, 1)
        assert [p.n_sequences for p in passes] == [3, 3, 1]
        assert seconds(fits, place, Speed(1.0, 0.0)) == 300

    def test_fits_of_other_shapes_and_recipes_do_not_share_a_batch(self):
        specs = [fit_of(text(4)), fit_of(text(5)), fit_of(text(4), recipe=recipe("paper", 50))]
        alike = fit_of(text(4, 1), seed=3)
        found = batches([Fit(spec, 1, 1) for spec in (*specs, alike)])
        assert [len(batch) for batch in found] == [2, 1, 1]
