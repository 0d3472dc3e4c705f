"""Steps of fits to come, from made-up courses of stored ones."""

from reproducer.results.forecast import Forecast
from reproducer.results.specs import Result
from reproducer.solver.recipes import recipe
from tests.results.samples import fit_of, text


def stored(courses, n_tokens=4, budget=100, **changes):
    for mark, (steps, solved) in enumerate(courses):
        spec = fit_of(text(n_tokens, mark), recipe=recipe("paper", budget), **changes)
        yield Result("", spec.model_dump(mode="json"), {"steps": steps, "solved": solved})


def test_is_the_mean_over_fits_of_the_same_design():
    courses = [(10, True), (20, True), (30, True), (100, False), (100, False)]
    other = stored([(100, False)] * 9, arrangement="[e] [m]x(N-1)")
    forecast = Forecast([*stored(courses), *other])
    assert forecast.steps(fit_of(text(4, 50))) == 52


def test_a_fit_that_was_cut_off_counts_to_the_end_of_a_larger_budget():
    forecast = Forecast(stored([(10, True)] * 4 + [(100, False)]))
    spec = fit_of(text(4, 50), recipe=recipe("paper", 1000))
    assert forecast.steps(spec) == (4 * 10 + 1000) / 5
    assert forecast.steps(fit_of(text(4), recipe=recipe("paper", 50))) == (4 * 10 + 50) / 5


def test_one_that_is_under_way_has_outlived_the_short_ones():
    forecast = Forecast(stored([(10, True)] * 4 + [(60, True), (100, False)]))
    assert forecast.steps(fit_of(text(4)), begun=50) == (10 + 50) / 2
    assert forecast.steps(fit_of(text(4)), begun=99) == 1


def test_few_or_far_or_other_fits_tell_nothing():
    assert Forecast(stored([(10, True)] * 4)).steps(fit_of(text(4))) is None
    forecast = Forecast(stored([(10, True)] * 9))
    assert forecast.steps(fit_of(text(8))) == 10
    assert forecast.steps(fit_of(text(9))) is None
    assert forecast.steps(fit_of(text(4), recipe=recipe("grow", 100))) is None


def test_other_designs_stand_in_where_a_design_is_new():
    forecast = Forecast(stored([(10, True)] * 5, arrangement="[e]xN"))
    assert forecast.steps(fit_of(text(4))) == 10


def test_what_has_no_end_of_its_own_takes_its_budget():
    forecast = Forecast(stored([(10, True)] * 9))
    endless = recipe("paper", 70).model_copy(update={"stop_accuracy": None})
    assert forecast.steps(fit_of(text(4), recipe=endless)) == 70
