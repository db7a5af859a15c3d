"""The measurement that makes a certificate, with its options: particles, critic, confidence."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, cast

from pydantic import Field

from wopt.component import Spec, fields, named
from wopt.interfaces import Budget, FinishedRun, FlowBlock, Measurement
from wopt_certify.critic import CriticOptions
from wopt_certify.results import Certificate


@fields
class Certify(Measurement):
    """The certificate of a run: lower side, first-order errors, bounds, mass, two-sample tests.

    They are measurements that share one budget of processor time, see :mod:`wopt_certify.run`.

    Example:
        >>> Certify(particles=5000, iterations=0).particles
        5000
    """

    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {"wish": ("target_kl", {})}

    cites: ClassVar[tuple[str, ...]] = ("cheng2024",)
    document: ClassVar[type[Certificate]] = Certificate

    enabled: Annotated[
        bool, Field(description="whether to measure a certificate at the end of a run")
    ] = True
    budget: Annotated[
        float,
        Field(
            ge=0,
            description="processor time for figures on test rows, certificate and report, as a "
            "share of that of training; options below that are not set are chosen to fit it; "
            "0: no limit",
        ),
    ] = 0.25
    challenge: Annotated[
        bool,
        Field(
            description="whether other densities are fitted to the data, which bound the gap "
            "from below where they beat the model"
        ),
    ] = True
    two_sample: Annotated[
        bool,
        Field(description="whether samples are compared with held-out rows"),
    ] = True
    particles: Annotated[
        int | None,
        Field(
            ge=20,
            description="number of fresh samples of the source, if it can be sampled, or else "
            "the largest number of validation and test rows; by default 20,000, or as many as "
            "fit the budget",
        ),
    ] = None
    critic: Annotated[
        FlowBlock,
        Field(description="the critic: a block whose velocity is the test field that is trained"),
    ] = named("ode", width=64, time=False, sharpness=3.0)
    iterations: Annotated[
        int | None,
        Field(
            ge=0,
            description="training iterations of the critic, a network; 0: affine fields only; "
            "by default 300, or as many as fit the budget",
        ),
    ] = None
    learning_rate: Annotated[float, Field(gt=0, description="learning rate of the critic")] = 1e-2
    batch_size: Annotated[
        int, Field(ge=1, description="particles in each iteration of the critic")
    ] = 1000
    level: Annotated[float, Field(gt=0, lt=1, description="confidence level of the intervals")] = (
        0.95
    )
    score_rows: Annotated[
        int | None,
        Field(
            ge=0,
            description="number of particles whose exact score is computed, with one backward "
            "pass for each dimension, where that of the initial law is known; 0: none; by "
            "default 2,000, or as many as fit the budget",
        ),
    ] = None
    transport_rows: Annotated[
        int,
        Field(
            ge=0,
            description="number of particles in each optimal-transport problem; 0: none is solved",
        ),
    ] = 500
    draws: Annotated[
        int,
        Field(
            ge=100,
            description="number of draws by which a sampler is measured, and of exact draws of "
            "its target",
        ),
    ] = 10_000
    rejection: Annotated[
        int,
        Field(
            ge=0,
            le=40,
            description="steps of rejection and resampling after which the sampler is measured "
            "once more; needs 1,000 draws or more",
        ),
    ] = 0
    rejection_rate: Annotated[
        float, Field(gt=0, lt=1, description="share of the draws that each of these steps rejects")
    ] = 0.2
    target_kl: Annotated[
        float,
        Field(
            gt=0,
            description="the certificate states how many steps bring the divergence down "
            "to this, in nats",
        ),
    ] = 0.01

    def measure(
        self, run: FinishedRun, budget: Budget | None = None, recorded: Any = None
    ) -> Certificate:
        """Return the certificate of a run, with the effort of a recorded one where that fits."""
        from wopt_certify.run import certify, fits

        records = run.state.records
        kept = recorded if records and recorded and fits(recorded, self, records[-1].step) else None
        return certify(self, run, budget, kept)

    def of_critic(self, iterations: int, seed: int) -> CriticOptions:
        """Return the options of a critic whose net has so many iterations."""
        # Typed as the interface for the schema; a table is turned into a choice of a block.
        net = cast(Spec, self.critic)
        how = (self.learning_rate, self.batch_size, self.level)
        return CriticOptions(net, iterations, *how, seed)


def settings_of(run: FinishedRun) -> Certify:
    """Return the options of the run's ``[certify]``, or the default ones."""
    chosen = run.prepared.config.certify
    return chosen if isinstance(chosen, Certify) else Certify()
