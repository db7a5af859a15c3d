"""The inner solver: minimises the proximal subproblem over a block's parameters."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field, WithJsonSchema

from wopt.component import Component, build, fields
from wopt.errors import CapabilityError, ConfigError
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.listener import SILENT, Listener
from wopt.interfaces.solver import Accuracy, Loss, Solver, SolveReport, Training
from wopt.interfaces.subproblem import Subproblem
from wopt.interfaces.target import Target
from wopt.renamed import renamed_arguments
from wopt.train.batches import Tolerance
from wopt.train.schedules import Schedules, lengths_of

__all__ = ["InnerSolver"]


def _known(optimiser: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return a solver's name or table after checking that it can be built."""
    build("solver", optimiser)
    return optimiser


def _of_steps(entries: list[Any] | None) -> list[Any] | None:
    """Return entries of ``by_step`` after checking that their tables hold valid options."""
    for number, entry in enumerate(entries or [], 1):
        if isinstance(entry, dict):
            if "by_step" in entry:
                raise ValueError(f"by_step of step {number} has a by_step of its own; leave it out")
            try:
                InnerSolver(**entry)
            except ConfigError as error:
                raise ValueError(f"step {number}: {error}") from None
    return entries


@fields
class InnerSolver(Component):
    """Options of how the subproblem of a step is minimised: solver, iterations, accuracy.

    On mini-batches the learning rate warms up and falls as a cosine.

    Example:
        >>> InnerSolver(iterations=100, learning_rate=1e-3).iterations
        100
    """

    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {
        "towards": ("direction", {"both": "reverse", "chains": "forward"})
    }

    optimiser: Annotated[
        str | dict[str, Any],
        AfterValidator(_known),
        WithJsonSchema({"x-wopt-kind": "solver"}),
        Field(
            description="the solver: adam (on mini-batches), muon (the same with orthogonalised "
            "steps for weight matrices, quicker on sharp features), lbfgs (on all particles, for "
            "small problems), or another plugin's, by name or as a table"
        ),
    ] = "adam"
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate")] = 2e-3
    matrix_rate: Annotated[
        float, Field(gt=0, description="peak learning rate of weight matrices under muon")
    ] = 0.02
    iterations: Annotated[
        int, Field(ge=1, description="largest number of iterations in each step")
    ] = 500
    seconds: Annotated[
        Annotated[float, Field(gt=0)] | list[Annotated[float, Field(gt=0)]] | None,
        Field(
            description="CPU seconds of training in each step, instead of `iterations`: the "
            "learning rate follows the clock. A list: complete schedules, each of which goes on "
            "from the best map of the one before"
        ),
    ] = None
    recorded: Annotated[
        list[list[Annotated[int, Field(ge=0)]]] | None,
        Field(
            description="iterations in each hundredth of every schedule of a step, as the record "
            "of a step by the clock has them (`schedules`), which are repeated"
        ),
    ] = None
    by_step: Annotated[
        list[Annotated[float, Field(gt=0)] | dict[str, Any]] | None,
        Field(
            min_length=1,
            description="for each step a factor on `iterations` and `seconds`, or a table of the "
            "options that differ from these; the last is used for all later steps",
        ),
        AfterValidator(_of_steps),
    ] = None
    fresh: Annotated[
        bool,
        Field(
            description="whether training particles are drawn anew at every iteration, where the "
            "source can be sampled or its rows are smoothed; not with lbfgs or gaussian"
        ),
    ] = False
    batch_size: Annotated[int, Field(ge=1, description="particles per iteration")] = 500
    warmup: Annotated[
        float,
        Field(ge=0, lt=1, description="share of iterations in which the learning rate rises"),
    ] = 0.05
    final_rate: Annotated[
        float, Field(ge=0, le=1, description="learning rate at the end, as a share of the peak")
    ] = 0.01
    clip: Annotated[
        float,
        Field(
            ge=0,
            description="largest norm of a gradient, to which longer ones are clipped; 0: no "
            "clipping",
        ),
    ] = 10.0
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            description="decoupled weight decay as in AdamW, against overfitting (with adam "
            "and muon)",
        ),
    ] = 0.0
    ema: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="decay of the exponential moving average of the parameters, which is "
            "what is kept; 0: no average",
        ),
    ] = 0.0
    noise: Annotated[
        float,
        Field(
            ge=0,
            description="standard deviation of fresh normal noise on the training particles, "
            "in the flow's coordinates, at every iteration; against overfitting smooth laws",
        ),
    ] = 0.0
    warm_start: Annotated[
        bool,
        Field(
            description="whether a step's map begins as that of the step before; otherwise as "
            "the identity"
        ),
    ] = True
    check_every: Annotated[
        Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)],
        Field(
            description="iterations between evaluations of the loss on held-out particles; below "
            "1, fraction of the schedule"
        ),
    ] = 50
    check_rows: Annotated[
        int | None,
        Field(ge=1, description="number of held-out particles in these evaluations; default: all"),
    ] = None
    patience: Annotated[
        Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None,
        Field(
            description="evaluations without a new smallest loss before training of the step "
            "ends, or, below 1, the fraction of the schedule; the best map is kept, the initial "
            "one if none was better"
        ),
    ] = None
    tolerance: Annotated[
        float | None,
        Field(
            gt=0,
            description="train until the error in the first-order optimality condition is "
            "below this",
        ),
    ] = None
    relative_tolerance: Annotated[
        float | None,
        Field(
            gt=0,
            description="the same tolerance as a share of the movement divided by h, which "
            "falls from step to step, so that late steps are solved more accurately",
        ),
    ] = None
    weights: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="train until the importance weights of held-out particles have an "
            "effective size of this share, and a tail that k-hat lets trust; for a start of known "
            "density and a target's potential",
        ),
    ] = None
    chains: Annotated[
        int,
        Field(
            ge=0,
            description="Metropolis chains of the target beside training, which find arms, tails "
            "and modes that the model's own draws miss, and towards which it is then trained; for "
            "a start of known density and a target's potential. 0: none",
        ),
    ] = 0
    chains_cost: Annotated[
        float,
        Field(
            ge=1,
            description="how many iterations one that is trained towards chains counts as, so that "
            "training takes as long with them as without",
        ),
    ] = 1.0
    direction: Annotated[
        Literal["reverse", "forward"],
        Field(
            description="what a step with chains minimises: reverse (KL(q | p) at the model's "
            "draws and, where these are not enough, KL(p | q) at the chains) or forward (the "
            "latter alone)"
        ),
    ] = "reverse"
    rounds: Annotated[
        int, Field(ge=1, description="how often `iterations` may be run to reach a tolerance")
    ] = 4
    grow: Annotated[
        float, Field(ge=1, description="factor on the iterations from round to round")
    ] = 1.0

    @functools.cached_property
    def algorithm(self) -> Solver:
        """The solver named by ``optimiser``."""
        return cast("Solver", build("solver", self.optimiser))

    def of_step(self, step: int) -> InnerSolver:
        """Return the solver of a step with index 0, 1, ...

        Example:
            >>> steps = [{"optimiser": "lbfgs"}, 0.5]
            >>> solver = InnerSolver(iterations=100, by_step=steps)
            >>> [(s.optimiser, s.iterations) for s in map(solver.of_step, range(2))]
            [('lbfgs', 100), ('adam', 50)]
        """
        if self.by_step is None:
            return self
        own = self.by_step[min(step, len(self.by_step) - 1)]
        if not isinstance(own, dict):
            own = self.longer(own)
        return InnerSolver(**{**self.options, "by_step": None, **own})

    @renamed_arguments(share="relative_ess")
    def minimise(
        self,
        block: FlowBlock,
        loss: Loss,
        n: int,
        *,
        rate: float = 1.0,
        before_each: Callable[[], None] = lambda: None,
        held_out: Callable[[FlowBlock], float] | None = None,
        accuracy: Accuracy | None = None,
        relative_ess: Callable[[FlowBlock], float | None] | None = None,
        cost: Callable[[], float] = lambda: 1.0,
        listener: Listener = SILENT,
        subproblem: Subproblem | None = None,
        target: Target | None = None,
        chains: Any = None,
        made: list[tuple[int, ...]] | None = None,
        first: int = 0,
        begin: Callable[[int], None] = lambda _: None,
    ) -> SolveReport:
        """Train the block in place, drawing from torch's global generator.

        With a tolerance and ``accuracy`` training ends when the first-order error is within it;
        if the planned iterations do not suffice they are repeated, in at most ``rounds`` rounds.

        Args:
            block: The block to train.
            loss: The loss of a block on rows.
            n: Number of particles.
            rate: Factor on the learning rate.
            before_each: Called before every iteration (stochastic objectives draw anew).
            held_out: The held-out loss, for stopping on a plateau.
            accuracy: The held-out first-order error, for the tolerances.
            relative_ess: The relative effective size of held-out importance weights, for
                ``weights``.
            cost: Returns the cost of an iteration of the next round, relative to a plain one.
            listener: Receives iterations done, those planned and the smoothed loss.
            subproblem: The subproblem at the training particles, for solvers that use it.
            target: The target of the objective, for solvers that use it.
            chains: Chains of the target, for solvers that use them.
            made: Schedules of the step so far, of which ``recorded`` has a record; those made here
                are added.
            first: Number of schedules of this block that were made before.
            begin: Called with the number of a schedule before it begins, from the second on.
        """
        within = Tolerance(
            accuracy, self.tolerance, self.relative_tolerance, relative_ess, self.weights
        )
        algorithm = self.algorithm
        if self.seconds is not None and not algorithm.on_batches:
            raise CapabilityError("solver.seconds is for solvers on mini-batches; give iterations")
        training = algorithm.begin(
            Training(
                block, loss, n, self, rate, before_each, held_out, within, listener,
                subproblem, target, chains,
            )
        )  # fmt: skip
        if algorithm.direct:
            return algorithm.solve(training)
        schedules = Schedules(training, cost, [] if made is None else made, begin)
        return schedules.train(first)

    def longer(self, factor: float) -> dict[str, Any]:
        """Return the options of schedules that are longer by a factor."""
        lengths = [factor * length for length in lengths_of(self)]
        seconds = lengths if isinstance(self.seconds, list) else next(iter(lengths), None)
        return {"iterations": max(1, round(factor * self.iterations)), "seconds": seconds}

    def repeated(self, records: Sequence[Any]) -> InnerSolver:
        """Return the solver that repeats a run by the clock to the bit, by its steps' records."""
        tables = []
        for step, record in enumerate(records):
            own = {k: v for k, v in self.of_step(step).options.items() if v != self.options[k]}
            own.pop("by_step", None)
            tables.append({**own, "recorded": [list(counts) for counts in record.schedules]})
        return self.with_options(by_step=tables or None)

    def schedule(self, part: int, parts: int) -> float:
        """Return the fraction of the peak rate in a part of a schedule: a rise, then half a cosine.

        Args:
            part: 0, 1, ..., ``parts - 1``.
            parts: Number of parts, iterations say.
        """
        rise = self.warmup * parts
        if part < rise:
            return (part + 1) / (rise + 1)
        done = (part - rise) / max(1.0, parts - rise)
        return self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * done)) / 2
