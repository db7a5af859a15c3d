"""The solvers of the core: Adam and Muon on mini-batches, L-BFGS on all particles."""

# Annotations here are objects, not texts, so that subclasses in other modules inherit them.

import math
from typing import Annotated, Any, ClassVar

from pydantic import Field

from wopt.component import fields
from wopt.interfaces.solver import Solver, SolveReport, Training
from wopt.train.batches import BatchTraining
from wopt.train.lbfgs import minimise_by_lbfgs


@fields
class Clocked(Solver):
    """A solver that makes iterations, by number or by the clock."""

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


@fields
class Repeated(Solver):
    """A solver that begins from the map before, and is repeated until weights are even."""

    iterations: Annotated[
        int, Field(ge=1, description="largest number of iterations in each step")
    ] = 500
    warm_start: Annotated[
        bool,
        Field(
            description="whether a step's map begins as that of the step before; otherwise as "
            "the identity"
        ),
    ] = True
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
    rounds: Annotated[
        int, Field(ge=1, description="how often `iterations` may be run to reach a tolerance")
    ] = 4
    grow: Annotated[
        float, Field(ge=1, description="factor on the iterations from round to round")
    ] = 1.0


@fields
class Accurate(Clocked, Repeated):
    """A solver that may be repeated until the first-order condition holds, too."""

    tolerance: Annotated[
        float | None,
        Field(
            gt=0,
            description="train until the error in the first-order optimality condition is below "
            "this",
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


@fields
class Adam(Accurate):
    """Adam on mini-batches, with decoupled weight decay, warm-up and a cosine schedule.

    Source: Kingma, Ba, *Adam: a method for stochastic optimization*, 2015; Loshchilov, Hutter,
    *Decoupled weight decay regularization*, 2019.

    Example:
        >>> Adam(iterations=100, learning_rate=1e-3).iterations
        100
    """

    cites: ClassVar[tuple[str, ...]] = ("kingma2015", "loshchilov2019")
    on_batches: ClassVar[bool] = True

    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate")] = 2e-3
    batch_size: Annotated[int, Field(ge=1, description="particles per iteration")] = 500
    fresh: Annotated[
        bool,
        Field(
            description="whether training particles are drawn anew at every iteration, where the "
            "source can be sampled or its rows are smoothed"
        ),
    ] = False
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
            description="decoupled weight decay as in AdamW, against overfitting",
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
            description="evaluations without a new smallest loss of this schedule before it "
            "ends, or, below 1, the fraction of the schedule; the best map is kept, the initial "
            "one if none was better"
        ),
    ] = None

    @property
    def rate_of_matrices(self) -> float | None:
        """Peak learning rate of weight matrices under Muon; ``None`` if Adam has them too."""
        return None

    def height(self, part: int, parts: int) -> float:
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

    def solve(self, training: Training) -> SolveReport:
        """Train the block by mini-batches until the clock says that the schedule is over."""
        return BatchTraining(self, training).run()


@fields
class Muon(Adam):
    """Muon for matrices with more than 16 rows and columns, Adam for all other parameters.

    Orthogonalised steps move every direction of a matrix at one speed, so sharp features are
    learned early.

    Source: Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024.

    Example:
        >>> Muon(matrix_rate=0.01).rate_of_matrices
        0.01
    """

    cites: ClassVar[tuple[str, ...]] = ("jordan2024", "kingma2015", "loshchilov2019")

    matrix_rate: Annotated[
        float, Field(gt=0, description="peak learning rate of weight matrices")
    ] = 0.02

    @property
    def rate_of_matrices(self) -> float | None:
        """Peak learning rate of weight matrices."""
        return self.matrix_rate


@fields
class LBFGS(Accurate):
    """L-BFGS on all particles, for small problems to be solved to high accuracy.

    Source: Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.

    Example:
        >>> LBFGS().on_batches
        False
    """

    cites = ("liu1989", "nocedal2006")

    def solve(self, training: Training) -> SolveReport:
        """Minimise the loss on all particles to high accuracy."""
        parameters = [p for p in training.block.parameters() if p.requires_grad]
        return minimise_by_lbfgs(
            parameters,
            lambda: training.loss(training.block, None),
            training.clock.parts if self.seconds is None else training.clock,
            training.listener,
            to_rounding=True,
        )


@fields
class BySteps(Solver):
    """One solver for each step; the last is used for all later ones.

    Example:
        >>> solver = BySteps(solvers=["lbfgs", {"name": "adam", "iterations": 50}])
        >>> [type(solver.of_step(step)).__name__ for step in range(3)]
        ['LBFGS', 'Adam', 'Adam']
    """

    cites = ()
    example: ClassVar[dict[str, Any]] = {"solvers": ["lbfgs"]}

    solvers: Annotated[
        list[Solver], Field(min_length=1, description="the solvers of the first steps")
    ]

    @property
    def each(self) -> tuple[Solver, ...]:
        """The solvers of the first steps."""
        return tuple(self.solvers)

    def solve(self, training: Training) -> SolveReport:
        """Train the block by the solver of the first step."""
        return self.solvers[0].solve(training)
