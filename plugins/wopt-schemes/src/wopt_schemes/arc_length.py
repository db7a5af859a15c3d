"""Step sizes re-spaced so that every block moves the particles equally far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

import wopt
from wopt.store import RunDirectory
from wopt.train import respace


class ArcLength(wopt.StepSize):
    """Step sizes of equal arc length, from the distances measured in an earlier run.

    With t_k = h_1 + ... + h_k and s_k = w_1 + ... + w_k (w_k the distance that step k moved the
    particles) the curve t(s) is interpolated linearly, and

        h_n = t((n + 1) s_N / N') - t(n s_N / N'),    n = 0, ..., N' - 1,

    so that all N' blocks have about the same work. Train, re-space, refine: the run made with these
    step sizes can be re-spaced in turn. Steps beyond N' repeat the last. ``[refine] respace`` does
    the same within a run, and trains each block on from its own map.

    Source: the reparameterisation of Xu, Cheng, Xie, *Normalizing flow neural networks by JKO
    scheme*, 2023.

    Raises:
        ConfigError: The run is missing, has fewer than two steps, or no particle moved in it.

    Example:
        >>> respace([0.75, 1.0], [3.0, 1.0], 2)  # the first step moved too far
        [0.5, 1.25]
    """

    cites = ("xu2023",)

    def __init__(
        self,
        run: Annotated[str, Field(description="directory of the earlier run")],
        steps: Annotated[
            Annotated[int, Field(ge=1)] | None,
            Field(description="number of steps; by default that of the earlier run"),
        ] = None,
    ) -> None:
        step_sizes, distances = _measured(Path(run))
        self.values = respace(step_sizes, distances, steps or len(step_sizes))

    def __call__(self, step: int, previous: float | None = None) -> float:
        """Return the step's entry, or the last one."""
        return self.values[min(step, len(self.values) - 1)]


def _measured(run: Path) -> tuple[list[float], list[float]]:
    """Return step sizes and distances moved of an earlier run."""
    directory = RunDirectory(run)
    if not directory.steps.is_file():
        raise wopt.ConfigError(
            f"{run}: is not a run directory (it has no steps.jsonl), and arc_length re-spaces an "
            "earlier run: make one first, with constant or geometric step sizes"
        )
    try:
        records = directory.read_steps()
    except wopt.RunError as error:
        raise wopt.ConfigError(str(error)) from None
    step_sizes = [record.step_size for record in records]
    distances = [record.w2_step for record in records]
    if len(records) < 2:
        raise wopt.ConfigError(
            f"{run}: has {len(records)} step(s), and arc_length needs two or more to re-space"
        )
    if not sum(distances) > 0 or min(distances) < 0 or min(step_sizes) <= 0:
        raise wopt.ConfigError(f"{run}: no arc to re-space: the particles did not move")
    return step_sizes, distances
