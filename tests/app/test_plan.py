"""The plan against counts by hand, FLOP against a real step, hours against a known clock."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from reproducer.app import plan as plan_module
from reproducer.app.cli import app
from reproducer.app.detectable import detectable
from reproducer.app.plan import Gpu, plan, typical_passes
from reproducer.app.plan_table import plan_notes, plan_rows
from reproducer.app.stand_ins import is_here, weights_are_here
from reproducer.app.workload import Fit, Place, batches, seconds, totals
from reproducer.errors import ReproducerError
from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study
from reproducer.models.card import model_card
from reproducer.models.language_model import load_lm
from reproducer.models.peak import step_flops
from reproducer.paths import data_dir
from reproducer.readings.curves import CurveSpec, End
from reproducer.readings.mem_vectors import MemSpec
from reproducer.readings.reach import ReachSpec
from reproducer.results.fits import FitSpec
from reproducer.results.forecast import Forecast
from reproducer.results.known import Known
from reproducer.results.packs import packs
from reproducer.results.run import compute
from reproducer.results.specs import Result
from reproducer.results.store import Store
from reproducer.solver.arrangements import ARRANGEMENTS
from reproducer.solver.calibrate import Pass, Speed, fitted, speed_of
from reproducer.solver.recipes import recipe
from reproducer.solver.slots import Slots
from reproducer.texts.sources import Text

SMOKE = ("--profile", "smoke")
CPU = torch.device("cpu")
# Two lengths, three arrangements (two of them with one more input), two texts, 20 steps at most.
BY_HAND = {"fits": 12, "text_steps": 12 * 20, "token_steps": 2 * 20 * (2 + 3 + 3 + 4 + 5 + 5)}


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path / "packs"))
    packs.cache_clear()
    yield
    packs.cache_clear()


@pytest.fixture
def a_thousandth(monkeypatch, nothing_shipped):
    """Calibration that finds 1 ms for a pass and 1 ns for a FLOP."""
    monkeypatch.setattr(plan_module, "speed_of", lambda *arguments: Speed(1e-3, 1e-9))


def call(*arguments, status=0):
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


def second_position(**changes):
    return {"second_position": load_params("second_position", "smoke", **changes)}


def text(n_tokens, mark=0):
    return Text(source="own", id=str(mark), tokens=tuple(range(mark, mark + n_tokens)))


def fit_of(*texts, **changes):
    fields = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": texts}
    return FitSpec(**fields | {"recipe": recipe("paper", 100)} | changes)


class TestCounts:
    def test_equal_a_count_by_hand(self, a_thousandth):
        (row,), unplanned = plan(second_position())
        assert (row.missing, row.stored, row.open, unplanned) == (12, 0, False, {})
        counted = row.at_most.totals._asdict()
        assert {name: counted[name] for name in BY_HAND} == BY_HAND
        assert row.expected == row.at_most == row.bound  # nothing is stored to compare with
        assert row.compared == 0

    def test_what_is_stored_is_not_done_again(self, a_thousandth):
        params = second_position()["second_position"]
        done = grid(params, ["[e] [m]xN"])
        compute(done, progress=False)
        (row,), _ = plan({"second_position": params})
        assert (row.stored, row.missing) == (4, 8)
        assert row.at_most.totals.token_steps == 2 * 20 * (2 + 3 + 4 + 5)

    def test_a_smaller_budget_that_is_stored_is_gone_on_with(self, a_thousandth):
        compute(grid(second_position()["second_position"], ["[e] [m]xN"]), progress=False)
        (row,), _ = plan(second_position(max_steps=50))
        known = Known()
        solved = sum(result.metrics["solved"] for result in known.facts())
        left = 8 * 50 + (4 - solved) * 30
        assert (row.stored, row.missing, row.at_most.totals.text_steps) == (0, 12, left)

    def test_rounds_are_told_by_the_first_and_by_a_bound(self, a_thousandth):
        params = load_params("capacity", "smoke", ways=["own m"], compare_strategies=False)
        (row,), _ = plan({"capacity": params})
        # Two sources of two texts; bisection of 1, 2, 4 begins at 2 and at the most tries 4.
        assert row.open and row.missing == 4
        assert row.at_most.totals.token_steps == 4 * 3 * 20
        assert row.bound.totals.token_steps == 4 * (3 + 5) * 20

    def test_curves_between_all_solutions_are_bounded(self, a_thousandth):
        (row,), _ = plan({"connectivity": load_params("connectivity", "smoke")})
        # Two texts with two solutions each: one fit of all, then a curve for either text.
        assert row.open and row.missing == 1 and row.bound.totals.fits == 3
        assert row.bound.totals.text_steps == 4 * 20 + 2 * 10

    def test_every_experiment_of_a_profile_can_be_planned(self, a_thousandth):
        from reproducer.experiments import EXPERIMENTS

        rows, unplanned = plan({name: load_params(name, "smoke") for name in EXPERIMENTS})
        assert unplanned == {} and {row.experiment for row in rows} == set(EXPERIMENTS)

    def test_what_cannot_be_planned_costs_itself_alone(self, a_thousandth):
        chosen = second_position() | {"attention": load_params("attention", "smoke", n_texts=99)}
        rows, unplanned = plan(chosen)
        assert [row.experiment for row in rows] == ["second_position"]
        assert "expected 99 texts" in unplanned["attention"]


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


class TestHours:
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

    def test_hours_follow_from_passes_and_flop(self, a_thousandth):
        (row,), _ = plan(second_position())
        # Lengths 2 and 4; the two arrangements with a further input share their batches.
        expected = 4 * 20 * 1e-3 + row.at_most.totals.flop * 1e-9
        assert row.at_most.hours * 3600 == pytest.approx(expected)
        assert row.hours_by.startswith("calibration")

    def test_a_stated_peak_takes_flop_alone(self, nothing_shipped):
        gpu = Gpu(peak_flops=1e12, share=0.5)
        (row,), _ = plan(second_position(), gpu, by_peak=True)
        assert row.at_most.hours * 3600 == pytest.approx(row.at_most.totals.flop / 0.5e12)
        assert row.dtype == "bfloat16" and "TFLOP/s" in row.hours_by

    def test_float32_has_its_own_peak(self, nothing_shipped):
        gpu = Gpu(peak_flops=1e12, share=0.5, float32_ratio=0.1)
        params = load_params("precision", "smoke")
        (row,), _ = plan({"precision": params}, gpu, by_peak=True)
        each = row.at_most.totals.flop / 2 / 0.5e12
        assert row.at_most.hours * 3600 == pytest.approx(each + 10 * each)

    @pytest.mark.parametrize(
        "wrong", [{"peak_flops": 0}, {"share": 0}, {"share": 1.1}, {"memory_bytes": -1}]
    )
    def test_an_impossible_gpu_is_refused(self, wrong):
        with pytest.raises(ReproducerError, match="expected a peak and a memory above 0"):
            Gpu(**wrong)


class TestCalibration:
    def test_a_line_is_found_again(self):
        timed = [(flop, 2e-3 + 3e-12 * flop) for flop in (1e7, 4e8, 5e9)]
        speed = fitted(timed)
        assert (speed.overhead, speed.per_flop) == pytest.approx((2e-3, 3e-12))
        assert speed.seconds(10, 1e9) == pytest.approx(0.023)

    def test_neither_part_is_negative(self):
        speed = fitted([(1e9, 1.0), (2e9, 1.5), (4e9, 8.0)])
        assert speed.overhead >= 0 and speed.per_flop > 0

    def test_one_pass_gives_a_rate(self):
        assert fitted([(2e9, 1.0)]) == Speed(0.0, 5e-10)

    def test_times_real_steps(self, tiny):
        passes = [Pass(1, 3, 2), Pass(8, 9, 8)]
        small, large = (speed_of(tiny, [shape], limit_s=1.0) for shape in passes)
        both = speed_of(tiny, passes, limit_s=2.0)
        assert both.overhead + both.per_flop > 0
        # An overhead shared by more rows: a FLOP of a large pass costs less.
        assert large.per_flop < small.per_flop

    def test_a_pass_that_would_overrun_is_left_out(self, tiny, monkeypatch):
        asked = []

        def slow(lm, shape, limit_s, clock):
            asked.append(shape)
            return 10.0

        monkeypatch.setattr("reproducer.solver.calibrate._seconds", slow)
        passes = [Pass(100, 9, 8), Pass(1, 3, 2)]
        speed_of(tiny, passes, limit_s=5.0)
        assert asked == [Pass(1, 3, 2)]

    def test_its_passes_are_those_that_the_fits_make(self):
        fits = [Fit(fit_of(text(n, mark)), 100, 100) for n in (1, 2, 4) for mark in range(9)]
        passes = typical_passes(fits, Place(CPU, max_inputs=25))
        assert len(passes) == len(set(passes)) <= 5
        assert passes[0] == Pass(5, 5, 4)  # five of the costliest fill a batch
        assert all(p.n_sequences * p.n_inputs <= 25 for p in passes)


class TestForecast:
    """Steps of fits to come, from made-up courses of stored ones."""

    def stored(self, courses, n_tokens=4, budget=100, **changes):
        for mark, (steps, solved) in enumerate(courses):
            spec = fit_of(text(n_tokens, mark), recipe=recipe("paper", budget), **changes)
            yield Result("", spec.model_dump(mode="json"), {"steps": steps, "solved": solved})

    def test_is_the_mean_over_fits_of_the_same_design(self):
        courses = [(10, True), (20, True), (30, True), (100, False), (100, False)]
        other = self.stored([(100, False)] * 9, arrangement="[e] [m]x(N-1)")
        forecast = Forecast([*self.stored(courses), *other])
        assert forecast.steps(fit_of(text(4, 50))) == 52

    def test_a_fit_that_was_cut_off_counts_to_the_end_of_a_larger_budget(self):
        forecast = Forecast(self.stored([(10, True)] * 4 + [(100, False)]))
        spec = fit_of(text(4, 50), recipe=recipe("paper", 1000))
        assert forecast.steps(spec) == (4 * 10 + 1000) / 5
        assert forecast.steps(fit_of(text(4), recipe=recipe("paper", 50))) == (4 * 10 + 50) / 5

    def test_one_that_is_under_way_has_outlived_the_short_ones(self):
        forecast = Forecast(self.stored([(10, True)] * 4 + [(60, True), (100, False)]))
        assert forecast.steps(fit_of(text(4)), begun=50) == (10 + 50) / 2
        assert forecast.steps(fit_of(text(4)), begun=99) == 1

    def test_few_or_far_or_other_fits_tell_nothing(self):
        assert Forecast(self.stored([(10, True)] * 4)).steps(fit_of(text(4))) is None
        forecast = Forecast(self.stored([(10, True)] * 9))
        assert forecast.steps(fit_of(text(8))) == 10
        assert forecast.steps(fit_of(text(9))) is None
        assert forecast.steps(fit_of(text(4), recipe=recipe("grow", 100))) is None

    def test_other_designs_stand_in_where_a_design_is_new(self):
        forecast = Forecast(self.stored([(10, True)] * 5, arrangement="[e]xN"))
        assert forecast.steps(fit_of(text(4))) == 10

    def test_what_has_no_end_of_its_own_takes_its_budget(self):
        forecast = Forecast(self.stored([(10, True)] * 9))
        endless = recipe("paper", 70).model_copy(update={"stop_accuracy": None})
        assert forecast.steps(fit_of(text(4), recipe=endless)) == 70

    def test_enters_the_plan(self, a_thousandth):
        compute(grid(second_position(n_texts=5, lengths=[4])["second_position"], ["[e] [m]xN"]))
        taken = [result.metrics["steps"] for result in Known().facts()]
        (row,), _ = plan(second_position(n_texts=6, lengths=[4], max_steps=10))
        assert (row.missing, row.compared) == (18, 18)
        (row,), _ = plan(second_position(n_texts=6, lengths=[4]))
        assert (row.missing, row.compared) == (13, 13)
        mean = sum(taken) / 5
        assert row.expected.totals.text_steps == pytest.approx(13 * mean)


class TestHub:
    """Models and texts of a hub that does not answer."""

    def test_counts_follow_from_the_published_shape(self, nothing_shipped):
        params = load_params("arrangements", "paper", lengths=[2, 512], n_texts=3)
        (row,), unplanned = plan({"arrangements": params})
        assert unplanned == {} and row.model == "llama-3.2-1b"
        assert row.missing == 2 * 3 * len(params.arrangements)
        assert "pg19" in " ".join(row.notes) and "shapes" in " ".join(row.notes)
        assert "H100" in row.hours_by
        # 1.236 billion weights; 2 + 2 FLOP each way for each, attention not counted.
        spec = "[e] [m]x(N-1)"
        assert row.at_most.totals.flop > 4 * 1.2e9 * 2 * row.at_most.totals.fits * 5000
        assert spec in params.arrangements

    def test_weights_of_the_papers_models_fit_a_gpu_of_80_gb(self, nothing_shipped):
        gpu = Gpu()
        for model in ("shape:llama-3.1-8b", "shape:pythia-1.4b"):
            assert gpu.place(model, "bfloat16").max_inputs > 1000
        small = Gpu(memory_bytes=60e9)
        assert small.place("shape:llama-3.1-8b", "bfloat16").max_inputs == 1

    def test_what_cannot_be_planned_has_no_claims_and_stops_no_other(self, nothing_shipped):
        asked = ("plan", "recipes", "second_position", "--profile", "paper", "--peak", "989")
        told = json.loads(call(*asked, "--json"))
        assert "warm start" in told["not_planned"]["recipes"]
        assert {claim["experiment"] for claim in told["claims"]} == {"second_position"}

    @pytest.mark.parametrize("name", ["connectivity", "readout"])
    def test_the_book_shows_what_is_planned(self, nothing_shipped, name):
        """After a change: `reproduce plan --profile paper --peak 989 --json`."""
        told = json.loads((data_dir() / "plans" / "paper.json").read_text())
        (shown,) = (row for row in told["rows"] if row["experiment"] == name)
        (row,), _ = plan({name: load_params(name, "paper")}, by_peak=True)
        assert row.data()["bound"] == pytest.approx(shown["bound"])
        assert (row.weight_bytes, row.batch) == (shown["weight_bytes"], shown["batch"])

    def test_untrained_weights_are_timed_and_not_fitted(self, nothing_shipped):
        models = ["tiny", "random:pythia-160m"]
        params = load_params("training_time", "smoke", models=models)
        rows, _ = plan({"training_time": params}, by_peak=True)
        assert [(row.model, row.missing, row.readings) for row in rows] == [
            ("tiny", 4, 4),
            ("random:pythia-160m", 0, 4),
        ]
        params = load_params("throughput", "paper")
        rows, unplanned = plan({"throughput": params}, by_peak=True)
        assert unplanned == {} and [row.model for row in rows] == list(params.models)

    def test_a_shape_has_no_weights(self):
        assert not weights_are_here("shape:llama-3.2-1b")
        with pytest.raises(ReproducerError, match="a shape to plan with"):
            load_lm("shape:llama-3.2-1b")
        with pytest.raises(ReproducerError, match="unknown model of a published shape"):
            model_card("shape:llama-3.2-2b")

    def test_what_is_here(self):
        assert is_here("tiny") and weights_are_here("tiny") and is_here("no-such-model")
        assert not is_here("llama-3.2-1b")


class TestDetectable:
    def test_without_results_none_can_be_told(self, nothing_shipped):
        (claim,) = detectable(load_params("second_position", "smoke"), Known())
        assert claim.smallest_effect is None and "no stored result" in claim.why_not

    def test_the_shipped_results_tell_what_they_told(self):
        from reproducer.experiments.ledger import verdicts_of

        params = load_params("second_position", "smollm2")
        verdicts = {v.id: v for v in verdicts_of(params)}
        found = detectable(params, Known())
        assert {claim.claim for claim in found} == set(verdicts)
        for claim in found:
            verdict = verdicts[claim.claim]
            assert claim.n == verdict.n
            assert claim.smallest_effect == pytest.approx(verdict.smallest_effect)

    def test_more_texts_show_a_smaller_effect(self):
        shipped = load_params("second_position", "smollm2")
        few = detectable(shipped, Known())
        more = {"n_texts": 4 * shipped.n_texts}
        many = detectable(load_params("second_position", "smollm2", **more), Known())
        for a, b in zip(few, many, strict=True):
            assert b.n == 4 * a.n and b.spread_from == "smollm2 on smollm2-135m"
            assert b.smallest_effect < a.smallest_effect


class TestCommand:
    def test_as_json(self, a_thousandth):
        told = json.loads(call("plan", "second_position", *SMOKE, "--json"))
        (row,) = told["rows"]
        assert row["missing"] == 12 and row["at_most"]["token_steps"] == BY_HAND["token_steps"]
        assert told["not_planned"] == {} and told["claims"][0]["experiment"] == "second_position"

    def test_as_a_table(self, a_thousandth, monkeypatch):
        shown = call("plan", "second_position", "capacity", *SMOKE, "-p", "n_texts=2")
        assert "second_position" in shown and "≤" in shown and "Hours by calibration" in shown

    def test_a_dry_run_computes_nothing(self, a_thousandth):
        shown = call("run", "second_position", *SMOKE, "--dry-run")
        assert "second_position" in shown and len(Store()) == 0
        assert "second_position: 12 rows" in call("run", "second_position", *SMOKE)

    def test_after_a_run_nothing_is_left(self, a_thousandth):
        study(second_position()["second_position"])
        rows, unplanned = plan(second_position())
        (row,) = rows
        assert (row.stored, row.missing, row.bound.hours) == (12, 0, 0)
        assert plan_rows(rows)[0][2] == "0" and plan_notes(rows, unplanned)
