"""Charts put marks where the values are."""

import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest

from wopt_report.charts import Chart, image, log_range, magma, ticks


def places(chart, kind):
    (drawn,) = re.findall(rf'<\w+ class="{kind}"[^>]*? (?:d|points)="([^"]*)"', chart.svg())
    numbers = re.findall(r"[-\d.]+", drawn.replace("h0", ""))
    return np.array(numbers, dtype=float).reshape(-1, 2)


def test_points_and_lines_are_linear_in_the_values():
    x, y = np.array([0.0, 1.0, 4.0]), np.array([2.0, 1.0, 3.0])
    for kind, draw in (("dots", Chart.points), ("line", Chart.line)):
        chart = Chart((0, 4), (0, 4))
        draw(chart, x, y, "#0072B2")
        seen = places(chart, kind)
        assert np.allclose(np.diff(seen[:, 0]) / np.diff(x), 66.5, atol=0.1)
        assert np.allclose(np.diff(seen[:, 1]) / np.diff(y), -40, atol=0.1)


def test_a_logarithmic_axis_and_what_has_no_place_on_it():
    chart = Chart((0, 3), (1e-3, 1), log=True)
    chart.line([0, 1, 2, 3], [1e-3, 1e-2, 0.0, 1.0], "#0072B2")
    first, second = re.findall(r'points="([^"]*)"', chart.svg())
    assert len(first.split()) == 2
    assert len(second.split()) == 1
    down = [float(p.split(",")[1]) for p in first.split()]
    assert down[0] - down[1] == pytest.approx((200 - 8 - 32) / 3, abs=0.2)


def test_points_outside_are_left_out_and_nothing_draws_nothing():
    chart = Chart((0, 1), (0, 1))
    chart.points([0.5, 9.0, np.nan], [0.5, 0.5, 0.5], "#D55E00", "few")
    assert len(places(chart, "dots")) == 1
    assert chart.legend == [("few", "var(--vermilion,#D55E00)")]
    chart.points([], [], "#D55E00")
    assert chart.svg().count('class="dots"') == 1


def test_bars_stand_on_zero():
    chart = Chart((0, 2), (0, 4))
    chart.bars([0, 1], [1, 2], [1.0, 4.0], "#0072B2")
    found = re.findall(r"M\S+ (\S+?)V(\S+?)H", chart.svg().split('class="bars"')[1])
    heights = [float(a) - float(b) for a, b in found]
    assert heights == pytest.approx([40, 160])


def test_words_are_escaped():
    chart = Chart((0, 1), (0, 1), names=[(0.5, "<b>")], labels=("<i>", ""))
    text = chart.svg('a "picture"')
    assert "<b>" not in text
    assert "<i>" not in text
    assert 'aria-label="a &#34;picture&#34;"' in text


@pytest.mark.parametrize(("low", "high"), [(0.3, 9.7), (-1e-9, 1e-9), (1e6, 1e6 + 1), (0, 1e30)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * (high - low) <= tick <= high + 1e-9 * (high - low) for tick in found)


def test_a_range_of_a_logarithmic_axis_holds_what_is_positive():
    low, high = log_range([0.0, np.nan, 1e-3, 5.0])
    assert low < 1e-3
    assert high > 5
    assert log_range([0.0, 0.0])[1] > log_range([0.0, 0.0])[0] > 0


def test_an_image_is_what_was_drawn():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    data = base64.b64decode(image(pixels).partition(",")[2])
    read = matplotlib.image.imread(io.BytesIO(data))
    assert np.array_equal((255 * read).round().astype(np.uint8), pixels)


def test_brightness_rises_with_density():
    tones = magma(np.linspace(0, 1, 30)[None], 1.0).astype(float).sum(-1)[0]
    assert (np.diff(tones) > 0).all()
