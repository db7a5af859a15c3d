"""Times at which particles of an evolution are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wopt.component import Component, fields

__all__ = ["Snapshots"]


@fields
class Snapshots(Component):
    """Keeps held-out particles, with their densities where known, at times t = sum of h.

    Steps are shortened to end there. Particles are also kept at the end of the run if times or an
    exact solution are given.

    Example:
        >>> Snapshots(times=[0.3, 0.9]).times
        [0.3, 0.9]
    """

    times: Annotated[
        list[Annotated[float, Field(ge=0)]] | None,
        Field(description="times at which particles are kept; a step ends at each of them"),
    ] = None
    particles: Annotated[
        int, Field(ge=1, description="how many of the held-out particles are kept")
    ] = 2000
