"""Charts as SVG: a panel has axes and marks, and a page sets panels side by side or in a column.

Colours are variables of the page's style, so that a dark page needs no other picture; letters are
letters, so that they stay sharp and can be found.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from wopt_report.pages import number
from wopt_report.style import Array, limits

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 320.0, 46.0, 8.0, 8.0, 32.0
"""Units of a panel and of its margins; a letter has 11."""
_LETTER = 6.6
"""Mean width of a letter."""


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers within a range, at most ``most`` intervals apart.

    Example:
        >>> ticks(0.3, 9.7)
        [2.0, 4.0, 6.0, 8.0]
    """
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [k * step for k in range(first, last + 1)]


class Chart:
    """A panel: marks in the units of two axes.

    Args:
        x, y: Range of each axis.
        title: Heading of the panel.
        labels: Names of the axes, horizontal and vertical.
        log: Whether the vertical axis is logarithmic.
        height: Height in units, for a width of 320; ``None`` for equal scales on both axes.
        names, beside: Positions on the horizontal and the vertical axis with their names, instead
            of numbers.

    Example:
        >>> chart = Chart((0, 2), (0, 1), title="A line")
        >>> chart.line([0, 1, 2], [0.1, 0.9, 0.5], "#0072B2", label="it")
        >>> "<polyline" in chart.svg()
        True
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        title: str = "",
        labels: tuple[str, str] = ("", ""),
        log: bool = False,
        height: float | None = 200.0,
        names: Sequence[tuple[float, str]] | None = None,
        beside: Sequence[tuple[float, str]] | None = None,
    ) -> None:
        self.x, self.y, self.log = x, y, log
        self.title, self.labels, self.names, self.beside = title, labels, names, beside
        across = WIDTH - LEFT - RIGHT
        ratio = (y[1] - y[0]) / (x[1] - x[0])
        self.height = TOP + BOTTOM + across * ratio if height is None else height
        self.marks: list[str] = []
        self.legend: list[tuple[str, str]] = []

    def at(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return places in the panel, ``(n, 2)``; what is not finite or not positive is NaN."""
        across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        low, high = self.y
        if self.log:
            up = np.log(np.where(up > 0, up, np.nan))
            low, high = math.log(low), math.log(high)
        room = self.height - TOP - BOTTOM
        across = LEFT + (WIDTH - LEFT - RIGHT) * (across - self.x[0]) / (self.x[1] - self.x[0])
        return np.column_stack([across, TOP + room * (high - up) / (high - low)])

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str, label: str = "", *, dashed: bool = False,
        marks: bool = False,
    ) -> None:  # fmt: skip
        """Draw a line through points, with gaps where a value is not known."""
        places = self.at(x, y)
        known = np.isfinite(places).all(axis=1)
        style = f'style="--c:{_css(colour)}"'
        for part in np.split(places, np.flatnonzero(~known)):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in part[np.isfinite(part).all(axis=1)])
            dash = ' stroke-dasharray="5 4"' if dashed else ""
            self.marks.append(f'<polyline class="line" {style}{dash} points="{points}"/>')
        if marks:
            self.points(x, y, colour, size=6)
        self._name(label, colour)

    def points(
        self, x: ArrayLike, y: ArrayLike, colour: str, label: str = "", *, size: float = 3.2
    ) -> None:
        """Draw points; those outside the range are left out."""
        places = self.at(x, y)
        inside = (places >= (LEFT - 1, TOP - 1)) & (
            places <= (WIDTH - RIGHT + 1, self.height - BOTTOM + 1)
        )
        dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in places[inside.all(axis=1)])
        if dots:
            style = f'style="--c:{_css(colour)};stroke-width:{size:g}"'
            self.marks.append(f'<path class="dots" {style} d="{dots}"/>')
        self._name(label, colour)

    def bars(
        self, left: ArrayLike, right: ArrayLike, heights: ArrayLike, colour: str, label: str = ""
    ) -> None:
        """Draw bars from zero, between two positions each."""
        lows, tops = self.at(left, np.zeros(np.shape(left))), self.at(right, heights)
        boxes = "".join(
            f"M{a:.1f} {b:.1f}V{d:.1f}H{c:.1f}V{b:.1f}"
            for (a, b), (c, d) in zip(lows, tops, strict=True)
        )
        self.marks.append(f'<path class="bars" style="--c:{_css(colour)}" d="{boxes}"/>')
        self._name(label, colour)

    def intervals(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
        """Draw an upright line from the one value to the other at each position."""
        for (a, b), (_, d) in zip(self.at(x, low), self.at(x, high), strict=True):
            if np.isfinite([b, d]).all():
                style = f'style="--c:{_css(colour)}"'
                self.marks.append(f'<path class="line" {style} d="M{a:.1f} {b:.1f}V{d:.1f}"/>')

    def rule(self, value: float, colour: str, label: str) -> None:
        """Draw a dashed line across at a value of the vertical axis."""
        self.line(self.x, [value, value], colour, label, dashed=True)

    def picture(self, uri: str) -> None:
        """Fill the range with an image."""
        room = WIDTH - LEFT - RIGHT, self.height - TOP - BOTTOM
        self.marks.append(
            f'<image href="{uri}" x="{LEFT}" y="{TOP}" width="{room[0]}" height="{room[1]:.1f}" '
            'preserveAspectRatio="none"/>'
        )

    def svg(self, alt: str = "") -> Markup:
        """Return the panel."""
        parts = [*self._axes(), *self.marks, *self._words()]
        role = Markup('role="img" aria-label="{}"').format(alt) if alt else 'aria-hidden="true"'
        box = f"0 0 {WIDTH:g} {self.height:.0f}"
        return Markup(f'<svg class="chart" viewBox="{box}" {role}>{"".join(parts)}</svg>')

    def _name(self, label: str, colour: str) -> None:
        if label:
            self.legend.append((label, _css(colour)))

    def _axes(self) -> list[str]:
        """Return the grid with the numbers beside it."""
        end, bottom = WIDTH - RIGHT, self.height - BOTTOM
        parts = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom:.1f}H{end}"/>']
        for value, name in self._upright():
            ((_, y),) = self.at([self.x[0]], [value])
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{end}"/>')
            parts.append(_text(LEFT - 4, y + 4, _short(name, LEFT - 4), "end"))
        named = self.names
        if named is None:
            named = [(v, number(v, 4)) for v in ticks(*self.x, 5)]
        room = (end - LEFT) / max(len(named), 1)
        for value, name in named:
            ((x, _),) = self.at([value], [self.y[0]])
            parts.append(_text(x, bottom + 13, _short(name, room)))
        return parts

    def _upright(self) -> Sequence[tuple[float, str]]:
        """Return places on the vertical axis, with names or numbers."""
        if self.beside is not None:
            return self.beside
        return [(v, number(v, 3)) for v in (self._decades() if self.log else ticks(*self.y, 4))]

    def _decades(self) -> list[float]:
        """Return powers of ten, not more than there is room for, or else round numbers."""
        first, last = (round(math.log10(v), 9) for v in self.y)
        powers = list(range(math.ceil(first), math.floor(last) + 1))
        if len(powers) < 2:
            return [value for value in ticks(*self.y, 4) if value > 0]
        return [10.0**k for k in powers[:: math.ceil(len(powers) / 6)]]

    def _words(self) -> list[str]:
        bottom = self.height
        across, up = self.labels
        parts = [_text(WIDTH - RIGHT, bottom - 4, across, "end")] if across else []
        return parts + ([_text(LEFT + 4, TOP + 9, up, "start")] if up else [])


def whole(values: Sequence[int]) -> list[tuple[float, str]]:
    """Return the names of an axis of whole numbers, not more than there is room for.

    Example:
        >>> whole([1, 2, 3])
        [(1.0, '1'), (2.0, '2'), (3.0, '3')]
    """
    first, last = values[0], values[-1]
    return [(float(k), str(k)) for k in range(first, last + 1, (last - first) // 8 + 1)]


def log_range(values: ArrayLike) -> tuple[float, float]:
    """Return the range of a logarithmic axis that holds all positive values, a decade at least.

    Example:
        >>> log_range([0.0, 0.1, 0.2])
        (0.05, 0.8)
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    low, high = (known.min(), known.max()) if len(known) else (1.0, 1.0)
    wide = 4.0 if high < 10 * low else 1.5
    return float(f"{low / min(wide, 2):.12g}"), float(f"{high * wide:.12g}")


def line_range(values: ArrayLike) -> tuple[float, float]:
    """Return the padded range of all finite values."""
    return limits(np.asarray(values, dtype=float), 0.0)


def _css(colour: str) -> str:
    """Return a colour of the page's style, which a dark page has in another tone."""
    return f"var(--{_NAMES[colour]},{colour})" if colour in _NAMES else colour


_NAMES = {
    "#0072B2": "blue", "#D55E00": "vermilion", "#009E73": "green", "#E69F00": "orange",
    "#AA4499": "purple", "#1f2933": "ink", "#5f6b76": "muted",
}  # fmt: skip


def _short(name: str, room: float) -> str:
    most = max(int(room / _LETTER), 3)
    return name if len(name) <= most else name[: most - 1] + "…"


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )


def image(pixels: NDArray[np.uint8]) -> str:
    """Return an image as a data URI of a PNG file.

    Args:
        pixels: Shape ``(h, w, 3)``, or ``(h, w, 4)`` with opacity.
    """
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


_MAGMA = np.array(
    [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]
)


def magma(values: Array, top: float) -> NDArray[np.uint8]:
    """Return the colours of densities from 0 to ``top``: ``(h, w)`` to ``(h, w, 3)``."""
    at = np.linspace(0, 1, len(_MAGMA))
    fraction = np.clip(np.nan_to_num(values) / (top or 1.0), 0, 1)
    return np.stack([np.interp(fraction, at, c) for c in _MAGMA.T], -1).round().astype(np.uint8)
