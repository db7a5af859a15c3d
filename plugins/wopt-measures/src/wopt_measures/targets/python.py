"""The target whose log-density is a function in a Python file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from wopt import Capability, ConfigError, DataError, Target
from wopt.capabilities import require
from wopt.interfaces import Support, support_of
from wopt_measures.code import absolute_address, load_function
from wopt_measures.laws.gaussian import check_points
from wopt_measures.targets.checked import differentiable
from wopt_measures.targets.density import Density, users_log_density, validation

Address = Annotated[
    str,
    AfterValidator(absolute_address),
    Field(
        description="FILE.py:FUNCTION, relative to the current directory: log p(x) up to a "
        "constant, points (n, d) to (n,), in torch"
    ),
]
Dimension = Annotated[
    int | None,
    Field(
        ge=1,
        description="d, the dimension of the points; by default the number of names, or "
        "the source's",
    ),
]
Names = Annotated[list[str] | None, Field(min_length=1, description="names of the coordinates")]
Constraints = Annotated[
    dict[str, Literal["positive"] | tuple[float, float]] | None,
    Field(
        description='constraints, from a coordinate by name or index to "positive" or '
        "[low, high] (inf for no end); log_prob is the density of the constrained "
        "coordinates, in which samples are"
    ),
]
Normalised = Annotated[bool, Field(description="whether exp(log p) integrates to one")]
Convexity = Annotated[
    float | None,
    Field(
        allow_inf_nan=False,
        description="a number lambda for which -log p - lambda |x|^2/2 is convex, if one "
        "is known; with a support, in free coordinates",
    ),
]
SameLaw = Annotated[
    Target | None,
    Field(description="a target with the same law that can be sampled, for reference draws"),
]
Digest = Annotated[
    str | None,
    Field(description="SHA-256 hash of the file; written by wopt and checked on loading"),
]


class PythonTarget(Target):
    """The measure with log-density log p(x) + const, a function in a Python file.

    ```python
    # my_model.py: points x, shape (n, d), to log p, shape (n,), in torch, differentiable
    def log_prob(x):
        return -((x - 1) ** 2).sum(1) / 2
    ```

    ```toml
    [objective.target]
    name = "python"
    log_prob = "my_model.py:log_prob"
    ```

    A configuration that names code runs it only where a person allows that: ``--allow-code`` on
    the command line, :func:`wopt.allow_code` in Python. The SHA-256 of the file is recorded in
    the run's configuration. Loading the run asks again, and a changed file is refused unless that
    is allowed too. Files that the function reads, such as data, are not covered by the hash.

    With a prior and a likelihood p is a posterior up to its constant: leave ``normalised`` false.

    With ``support = { scale = "positive" }`` log p is the density of the constrained coordinates.
    The flow acts on free ones, here log scale, whose density includes the log-det of the change of
    coordinates; samples, means and densities of a model are in the coordinates of log p again, and
    every sample satisfies the constraints.

    Raises:
        ConfigError: The code is not allowed, the file has changed, the code fails, or the function
            does not exist; or the support names an unknown coordinate.
        DataError: The file does not exist, or log p does not return one differentiable value per
            point.

    Example:
        >>> import pathlib, tempfile, wopt
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = pathlib.Path(folder.name) / "my_model.py"
        >>> _ = file.write_text("def log_prob(x): return -(x**2).sum(1) / 2")
        >>> with wopt.allow_code():
        ...     target = PythonTarget(log_prob=f"{file}:log_prob", dim=1)
        >>> target.potential(torch.tensor([[2.0]])).tolist()
        [2.0]
        >>> folder.cleanup()
    """

    cites = ()

    def __init__(
        self,
        log_prob: Address,
        dim: Dimension = None,
        names: Names = None,
        support: Constraints = None,
        normalised: Normalised = False,
        convexity: Convexity = None,
        samples: SameLaw = None,
        sha256: Digest = None,
    ) -> None:
        self._function, digest = load_function(log_prob, sha256)
        self.__dict__["_options"] = self._options.model_copy(update={"sha256": digest})
        self._address = log_prob
        self.dim = dim = dim or (None if names is None else len(names))
        self.names = tuple(names or ())
        self.support = _support(support, self.names, dim)
        self.convexity = convexity
        self.samples = samples
        self.provides = Capability.POTENTIAL | Capability.SCORE
        if normalised:
            self.provides |= Capability.NORMALISED
        if samples is not None:
            require("samples", Capability.TARGET_SAMPLES, "the target given", samples.provides)
            self.provides |= Capability.TARGET_SAMPLES
        if dim is not None:  # mistakes are found now, not after a run
            for dtype in (torch.float32, torch.float64):
                self.score(torch.zeros(2, dim, dtype=dtype))

    def potential(self, x: Tensor) -> Tensor:
        """Return -log p in nats, shape ``(n, d)`` to ``(n,)``, checked."""
        check_points(x, self.dim)
        own, log_det = x, None
        if self.support is not None:
            own, log_det = self.support(x)
        with validation(on=False):
            value = users_log_density(self._function, own, self._address)
        value = differentiable(value, own, self._address)
        return -value if log_det is None else -value - log_det

    def check_density(self, dim: int, rng: torch.Generator) -> None:
        """Raise if log p is not finite, or has no gradient, somewhere in its support."""

        def unchecked(x: Tensor) -> Any:
            """Return the user's log p, shape ``(n,)``, without validation by distributions."""
            with validation(on=False):
                return self._function(x)

        names = self.names or tuple(f"x{j}" for j in range(dim))
        empty = Density(unchecked, self.support or Support({}), names).zero_at(rng)
        if empty is not None:
            raise DataError(empty)

    def sample(self, n: int, dim: int, rng: torch.Generator) -> Tensor:
        """Return samples, shape ``(n, dim)``, of the target given as ``samples``."""
        if self.samples is None:
            raise self._lacks(Capability.TARGET_SAMPLES)
        x = self.samples.sample(n, dim, rng)
        return x if self.support is None else self.support.inverse(x)[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> PythonTarget:
        return self  # it is immutable, and a copy would ask for permission again

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.options,)  # unpickling asks for permission, as any loading does


def _support(
    wishes: Mapping[Any, Any] | None, names: Sequence[str], dim: int | None
) -> Support | None:
    """Return the bijection to the support, or raise."""
    if names and (len(names) != dim or len(set(names)) != len(names)):
        raise ConfigError(f"names must be {dim} different ones, got {list(names)}")
    if not wishes:
        return None
    if dim is None:
        raise ConfigError(
            "a support needs `names`, or `dim`, to know how many coordinates there are"
        )
    return support_of(wishes, names or [f"x{j}" for j in range(dim)])


def _again(options: dict[str, Any]) -> PythonTarget:
    return PythonTarget(**options)
