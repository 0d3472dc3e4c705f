"""What figures share: the papers' values, the lengths that were not tested, legends, panels."""

import numpy as np
import pandas as pd
import pytest

from reproducer.experiments import plots


def test_lengths_beyond_ours_are_shaded():
    for ours, theirs, shaded in (([4, 16], [4, 256], 1), ([512], [256], 0), ([], [256], 0)):
        _, axis = plots.figure()
        plots.not_tested(axis.axvspan, ours, theirs)
        assert len(axis.patches) == shaded
    _, axis = plots.figure()
    plots.not_tested(axis.axvspan, [4, 16], [256])
    low, width = axis.patches[0].get_x(), axis.patches[0].get_width()
    assert 16 < low < 256 < low + width


def test_a_legend_names_everything_once_and_nothing_where_nothing_is_named():
    drawn, (left, right) = plots.panels(2)
    plots.legend(left, right)
    assert not drawn.legends
    for axis in (left, right):
        axis.plot([0, 1], label="ours")
        plots.paper_marks(axis, [0], [1], label="paper")
    plots.legend(left, right)
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "paper"]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_panels_stand_two_to_a_row(n):
    drawn, axes = plots.panels(n)
    assert len(axes) == len(drawn.axes) == max(n, 1)
    assert drawn.get_figwidth() == plots.STYLE["figure.figsize"][0]


def test_the_band_is_one_standard_error():
    _, axis = plots.figure()
    frame = pd.DataFrame({"n": [1, 1, 2], "value": [0.0, 1.0, 0.5]})
    plots.mean_band(axis, frame.groupby("n")["value"], {"color": "red"})
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [0.5, 0.5])
    corners = axis.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == 0 and corners[:, 1].max() == 1
