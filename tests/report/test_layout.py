"""A grid of panels: words are inside the figure, and no panel lies in another's words."""

import itertools

import pytest
from matplotlib.figure import Figure

from wopt.report.pieces import arrange
from wopt.report.style import page_style


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 2), (4, 4)])
def test_panels_and_their_words_do_not_overlap(rows, columns):
    with page_style():
        figure = Figure(figsize=(9.6, 3.0 * rows))
        for k, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flatten()):
            axes.plot([0, 1e4 * 10**k], [-(10.0**k), 1])
            axes.set(title=f"panel {k}", xlabel="across", ylabel="up")
        boxes = arrange(figure)
        words = [axes.get_tightbbox() for axes in figure.axes]
    for one, other in itertools.combinations(words, 2):
        width, height = (
            min(getattr(one, f"{s}1"), getattr(other, f"{s}1"))
            - max(getattr(one, f"{s}0"), getattr(other, f"{s}0"))
            for s in "xy"
        )
        assert min(width, height) < 1.0  # pixels
    for one in words:
        inside = one.transformed(figure.transFigure.inverted())
        assert min(inside.x0, inside.y0) > -0.01
        assert max(inside.x1, inside.y1) < 1.01
    # The boxes tile the figure.
    assert sum(box.width * box.height for box in boxes.values()) == pytest.approx(1.0, abs=0.02)


def test_widths_follow_their_ratios():
    with page_style():
        figure = Figure(figsize=(9.6, 3.0))
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 1]})
        arrange(figure)
    assert left.get_position().width == pytest.approx(3 * right.get_position().width)
