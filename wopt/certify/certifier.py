"""The options of a certificate: how many particles, which critic, which confidence."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from wopt.certify.critic import CriticOptions
from wopt.component import Component, Spec, named
from wopt.interfaces.block import FlowBlock

__all__ = ["Certifier"]


class Certifier(Component):
    """How a run's certificate is measured.

    Example:
        >>> Certifier(particles=5000, iterations=0).particles
        5000
    """

    def __init__(
        self,
        enabled: Annotated[bool, Field(description="certify at the end of a run")] = True,
        particles: Annotated[
            int,
            Field(
                ge=20,
                description="fresh draws of the start where it can be drawn from; otherwise "
                "validation and test rows, at most so many",
            ),
        ] = 20_000,
        critic: Annotated[
            FlowBlock, Field(description="whose velocity is the trained test field")
        ] = named("ode", width=64, time=False, sharpness=3.0),
        iterations: Annotated[
            int | None,
            Field(
                ge=0,
                description="of the critic; 0 for affine fields alone; by default those of the "
                "inner solver, at most 300",
            ),
        ] = None,
        learning_rate: Annotated[float, Field(gt=0, description="of the critic")] = 1e-2,
        batch_size: Annotated[int, Field(ge=1, description="particles an iteration")] = 1000,
        level: Annotated[
            float, Field(gt=0, lt=1, description="confidence of the intervals")
        ] = 0.95,
        score_rows: Annotated[
            int,
            Field(
                ge=0,
                description="particles whose score is pushed through the maps, where the start's "
                "is known; 0 for none",
            ),
        ] = 2000,
        score_dim: Annotated[
            int, Field(ge=0, description="largest dimension in which scores are pushed")
        ] = 16,
        transport_rows: Annotated[
            int, Field(ge=0, description="particles of each optimal-transport problem; 0 for none")
        ] = 500,
        wish: Annotated[
            float, Field(gt=0, description="the divergence for which steps are counted, nats")
        ] = 0.01,
    ) -> None:
        self.enabled = enabled
        self.particles = particles
        self.critic = critic
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.level = level
        self.score_rows = score_rows
        self.score_dim = score_dim
        self.transport_rows = transport_rows
        self.wish = wish

    def of_critic(self, trained: int, seed: int) -> CriticOptions:
        """Return the critic's options.

        Args:
            trained: Iterations of the run's inner solver.
            seed: Of the critic.
        """
        iterations = min(300, trained) if self.iterations is None else self.iterations
        # Typed as the interface for the schema; a table is turned into a choice.
        net = cast(Spec, self.critic)
        return CriticOptions(net, iterations, self.learning_rate, self.batch_size, self.level, seed)
