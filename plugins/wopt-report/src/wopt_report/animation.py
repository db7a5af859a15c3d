"""An animation of the flow: data to noise and back through the blocks, as CSS on points.

No script runs: positions are variables of each point, stages are key frames that name them, and
radio buttons choose between playing, pausing and a fixed stage.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from wopt_report.run import PlottedRun
from wopt_report.samples import most_unusual
from wopt_report.style import Array, limits

_STAGES = 5
"""Number of stages shown in each direction at most."""

_POINTS = 180
_SECONDS = 1.8
"""Seconds per stage: the points stand still for four tenths of them, then move on."""

_STANDS, _FADE = 0.4, 0.3
_WIDTH = 100.0


@dataclasses.dataclass(frozen=True)
class Point:
    """A particle of the drawing.

    Attributes:
        colour: The colour of its first position.
        style: Its positions, as CSS variables.
    """

    colour: str
    style: str


@dataclasses.dataclass(frozen=True)
class AnimationStage:
    """One stage in either direction.

    Attributes:
        label: The stage's title.
        way: ``there`` or ``back``.
        number: Index of the stage in its direction.
        delay: Time in seconds at which it is shown; negative, so that all begin at once.
    """

    label: str
    way: str
    number: int
    delay: float


@dataclasses.dataclass(frozen=True)
class Animation:
    """The data that the template draws.

    Attributes:
        title, caption, alt: As in a :class:`~wopt_report.style.Picture`.
        there, back: The particles in each direction, which are different ones.
        stages: All stages, in the order of play.
        css: The key frames, made of numbers alone.
        height: Height of the drawing, whose width is 100.
    """

    title: str
    caption: str
    alt: str
    there: tuple[Point, ...]
    back: tuple[Point, ...]
    stages: tuple[AnimationStage, ...]
    css: str
    height: float


def animation(run: PlottedRun) -> Animation | None:
    """Return the animation of a run; ``None`` without a block, or without particles.

    Test rows go from the data to the noise; where the target can be sampled and the blocks
    inverted, its samples go back. The drawing shows the two coordinates of the pictures below it;
    if there is one coordinate, the height has no meaning.
    """
    there, back = (_places(run.arrays.get(key)) for key in ("paths", "backward"))
    if there is None or len(there) < 2:
        return None
    ways = [there] if back is None else [there, back]
    chosen = most_unusual(run.arrays["paths"][0], 2)
    flat = [_plane(way, chosen) for way in ways]
    x, y = (limits(np.concatenate([way[..., j].ravel() for way in flat])) for j in range(2))
    height = float(np.clip(_WIDTH * (y[1] - y[0]) / (x[1] - x[0]), 45, 70))
    drawn = [_drawn(way, x, y, height) for way in flat]
    shown = [_shown(len(way) - 1) for way in flat]
    stages = _stages(run, shown, [len(way) - 1 for way in flat])
    begin, end = ("data", "noise") if run.pulls_back else ("the start", "the target")
    names = " and ".join(_coordinate(run, j) for j in chosen)
    return Animation(
        f"The flow in motion: from {begin} to {end}" + (" and back" if len(ways) > 1 else ""),
        f"Test rows, seen in {names}, become {end} block by block"
        + (f"; then samples of the target, other particles, become {begin}" if back is not None
           else "") + ". A particle keeps its colour.",
        f"Points that move from {begin} to {end}" + (" and back" if len(ways) > 1 else "")
        + f" in {len(stages)} stages: " + ", ".join(stage.label for stage in stages) + ".",
        _points(drawn[0], shown[0]),
        _points(drawn[1], shown[1]) if len(ways) > 1 else (),
        stages,
        _css([len(part) for part in shown]),
        height,
    )  # fmt: skip


def _places(paths: Array | None) -> Array | None:
    """Return positions of particles that stay finite, ``(N + 1, m, d)``, m at most 180."""
    if paths is None:
        return None
    paths = paths[:, np.isfinite(paths).all(axis=(0, 2))]
    return paths[:, :_POINTS] if paths.shape[1] else None


def _plane(paths: Array, chosen: Sequence[int]) -> Array:
    """Return two coordinates; with one alone, a second that spreads the points."""
    if paths.shape[2] > 1:
        return paths[:, :, list(chosen)]
    heights = (np.arange(paths.shape[1]) * 0.6180339887) % 1.0
    return np.stack([paths[:, :, 0], np.broadcast_to(heights, paths.shape[:2])], axis=2)


def _drawn(way: Array, x: tuple[float, float], y: tuple[float, float], height: float) -> Array:
    """Return positions in the drawing, whose vertical axis points down."""
    across = _WIDTH * (way[..., 0] - x[0]) / (x[1] - x[0])
    down = height * (y[1] - way[..., 1]) / (y[1] - y[0])
    return np.stack([across, down], axis=2)


def _shown(last: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(0, last, min(last + 1, _STAGES))})


def _stages(
    run: PlottedRun, shown: Sequence[Sequence[int]], last: Sequence[int]
) -> tuple[AnimationStage, ...]:
    total = sum(len(part) for part in shown)
    made: list[AnimationStage] = []
    for way, part, n in zip(("there", "back"), shown, last, strict=False):
        for number, k in enumerate(part):
            label = _stage_title(k, n, run, way == "there")
            made.append(
                AnimationStage(label, way, number, round((len(made) - total) * _SECONDS, 3))
            )
    return tuple(made)


def _points(way: Array, shown: Sequence[int]) -> tuple[Point, ...]:
    colours = _colours(_turns(way[0]))
    styles = [
        "".join(f"--p{s}:{x:.1f}px,{y:.1f}px;" for s, (x, y) in enumerate(places))
        for places in way[list(shown)].transpose(1, 0, 2)
    ]
    return tuple(Point(*each) for each in zip(colours, styles, strict=True))


# A cycle of colours for angles; neighbours also differ in lightness, and none is pale.
_ANGLES = np.array(
    [[64, 32, 122], [33, 102, 172], [26, 158, 143], [224, 165, 38], [200, 69, 44], [125, 29, 99],
     [64, 32, 122]]
)  # fmt: skip


def _colours(fractions: Array) -> list[str]:
    at = np.linspace(0, 1, len(_ANGLES))
    tones = [np.interp(fractions, at, channel).round().astype(int) for channel in _ANGLES.T]
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*tones, strict=True)]


def _css(sizes: Sequence[int]) -> str:
    """Return key frames: each direction moves in its own time and is hidden otherwise."""
    total, text = sum(sizes), ""
    spans = list(
        zip(("there", "back"), itertools.accumulate(sizes, initial=0), sizes, strict=False)
    )
    for way, begin, size in spans:
        # Before and after its time, when it is hidden, a direction stays at its first stage.
        starts = [0, *range(begin + 1, begin + size)]
        ends = [begin + s + _STANDS for s in range(size - 1)] + [begin + size]
        moves = [
            _frame(at, total, _place(s)) for s, at in enumerate(zip(starts, ends, strict=True))
        ]
        if begin + size < total:
            moves.append(_frame((begin + size + 0.1, total), total, _place(0)))
        text += f"@keyframes move-{way}{{{''.join(moves)}}}"
        if len(sizes) > 1:
            text += f"@keyframes show-{way}{{{_visible(begin, begin + size, total)}}}"
    label = _frame((0, 1), total, "opacity:1") + _frame((1.001, total), total, "opacity:0")
    seconds = round(total * _SECONDS, 3)
    text += f"@keyframes label{{{label}}}.motion{{--cycle:{seconds}s}}"
    stages = [(way, s) for way, _, size in spans for s in range(size)]
    return text + "".join(_chosen(k, *stage) for k, stage in enumerate(stages))


def _chosen(k: int, way: str, s: int) -> str:
    """Return the effect of a stage's radio button: it stops all and sets the points there."""
    here, other = f"#motion-{k}:checked~svg ", "back" if way == "there" else "there"
    return (
        f"{here}*{{animation:none}}"
        f"{here}.{way}{{opacity:1}}{here}.{other}{{opacity:0}}"
        f"{here}.{way} circle{{{_place(s)}}}"
        f"{here}text:nth-of-type({k + 1}){{opacity:1}}"
    )


def _visible(begin: int, end: int, total: int) -> str:
    """Return frames that show a direction between two stages, and fade in between."""
    shown, hidden = (begin, end - _FADE), (end, total - _FADE)
    if begin:
        hidden = 0, begin - _FADE
    last = _frame((total, total), total, f"opacity:{int(not begin)}")
    return _frame(hidden, total, "opacity:0") + _frame(shown, total, "opacity:1") + last


def _place(s: int) -> str:
    return f"transform:translate(var(--p{s}))"


def _frame(stages: tuple[float, float], total: int, what: str) -> str:
    first, last = (f"{100 * stage / total:.3f}%" for stage in stages)
    return f"{first},{last}{{{what}}}"


def _coordinate(run: PlottedRun, j: int) -> str:
    """Return the name of a coordinate of the flow."""
    names = run.labels.coordinates
    return names[j] if j < len(names) else f"coordinate {j + 1}"


def _stage_title(k: int, n: int, run: PlottedRun, forward: bool) -> str:
    """Return the title of the stage after ``k`` of ``n`` blocks, applied or undone."""
    if k == 0:
        label = "preprocessed data" if run.pulls_back else "start"
        return label if forward else "samples of the target"
    if not forward:
        return "all blocks undone" if k == n else f"block {n + 1 - k} undone"
    h = next((r.step_size for r in run.steps if r.step == k), None)
    return f"block {k}" + ("" if h is None else f", h = {h:.3g}")


def _turns(particles: Array) -> Array:
    """Return each particle's angle about the middle, as a fraction of a turn, shape ``(n,)``."""
    centred = particles - np.median(particles, axis=0)
    scale = np.maximum(np.std(centred, axis=0), 1e-12)
    angle = np.arctan2(centred[:, 1] / scale[1], centred[:, 0] / scale[0]) / (2 * np.pi)
    shares: Array = angle % 1.0
    return shares
