"""The plan against counts by hand, and its hours against a known clock."""

import json

import pytest
import torch
from typer.testing import CliRunner

from reproducer.app.cli import app
from reproducer.app.plan import Gpu, plan, typical_passes
from reproducer.app.plan_table import plan_notes, plan_rows
from reproducer.app.stand_ins import is_here, weights_are_here
from reproducer.app.workload import Fit, Place
from reproducer.errors import ReproducerError
from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study
from reproducer.models.card import model_card
from reproducer.models.language_model import load_lm
from reproducer.paths import data_dir
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.results.store import Store
from reproducer.solver.calibrate import Pass
from tests.results.samples import fit_of, text

SMOKE = ("--profile", "smoke")
# Two lengths, three arrangements (two of them with one more input), two texts, 20 steps at most.
BY_HAND = {"fits": 12, "text_steps": 12 * 20, "token_steps": 2 * 20 * (2 + 3 + 3 + 4 + 5 + 5)}


def call(*arguments, status=0):
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


def second_position(**changes):
    return {"second_position": load_params("second_position", "smoke", **changes)}


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

    def test_stored_fits_forecast_the_steps_of_those_to_come(self, a_thousandth):
        compute(grid(second_position(n_texts=5, lengths=[4])["second_position"], ["[e] [m]xN"]))
        taken = [result.metrics["steps"] for result in Known().facts()]
        (row,), _ = plan(second_position(n_texts=6, lengths=[4], max_steps=10))
        assert (row.missing, row.compared) == (18, 18)
        (row,), _ = plan(second_position(n_texts=6, lengths=[4]))
        assert (row.missing, row.compared) == (13, 13)
        mean = sum(taken) / 5
        assert row.expected.totals.text_steps == pytest.approx(13 * mean)


class TestHours:
    def test_its_passes_are_those_that_the_fits_make(self):
        fits = [Fit(fit_of(text(n, mark)), 100, 100) for n in (1, 2, 4) for mark in range(9)]
        passes = typical_passes(fits, Place(torch.device("cpu"), max_inputs=25))
        assert len(passes) == len(set(passes)) <= 5
        assert passes[0] == Pass(5, 5, 4)  # five of the costliest fill a batch
        assert all(p.n_sequences * p.n_inputs <= 25 for p in passes)

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
