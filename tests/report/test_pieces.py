"""Figures cut into panels: side by side the pieces are the figure, and nothing is drawn twice."""

import base64
import io
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from wopt.report.pieces import both, png, svg
from wopt.report.style import page_style


def pixels(piece):
    data = base64.b64decode(piece.uri.partition(",")[2])
    return matplotlib.image.imread(io.BytesIO(data))


@pytest.fixture
def figure():
    with page_style():
        made = Figure(figsize=(8, 4))
        for k, axes in enumerate(made.subplots(2, 3).flatten()):
            axes.plot([0, 1, 0], label="a" if k == 0 else None)
            axes.set_title(f"panel {k}")
            axes.set_ylabel("up")
        yield made


def rows(figure):
    return [[[axes] for axes in figure.axes[:3]], [[axes] for axes in figure.axes[3:]]]


def test_pieces_tile_the_figure(figure):
    whole = pixels(png(figure)[0])
    pieces = png(figure, rows(figure))
    assert len(pieces) == 6
    again = [np.concatenate([pixels(p) for p in row], 1) for row in (pieces[:3], pieces[3:])]
    assert np.array_equal(np.concatenate(again, 0), whole)
    for row in (pieces[:3], pieces[3:]):
        assert 99.9 < sum(piece.wide for piece in row) <= 100


def test_a_legend_has_a_row_for_itself(figure):
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left")
    legend, *panels = png(figure, rows(figure))
    assert legend.alone
    assert legend.wide < 50
    assert len(panels) == 6
    assert not any(piece.alone for piece in panels)
    assert pixels(legend)[..., 3].max() > 0.9  # something is drawn in it


def test_drawings_are_cut_too(figure):
    pieces = svg(figure, rows(figure))
    assert len(pieces) == 6
    whole = svg(figure)[0]
    for piece in pieces:
        text = base64.b64decode(piece.uri.partition(",")[2]).decode()
        root = ElementTree.fromstring(text)
        assert 0 < float(root.get("width").removesuffix("pt")) < 0.5 * 8 * 72
        assert text.count('id="axes_') == 1  # its own panel alone
        assert len(piece.uri) < 0.5 * len(whole.uri)


def test_pieces_for_a_dark_page_are_of_the_same_size(figure):
    for piece in both(figure, rows(figure)):
        assert piece.dark
        light = pixels(piece)
        data = base64.b64decode(piece.dark.partition(",")[2])
        assert matplotlib.image.imread(io.BytesIO(data)).shape == light.shape
