"""The portfolio of the core: candidates that have done well on some tables, and on which."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from wopt.interfaces.candidate import Candidate
from wopt.plan.facts import Facts

Options = dict[str, Any]


class _Known(Candidate):
    """A candidate that did well on tables of some size, which is the measure of a distance."""

    cites = ()
    rows: ClassVar[float]
    columns: ClassVar[float]
    preprocess: ClassVar[str] = "whiten"
    block: ClassVar[Options] = {}
    solver: ClassVar[Options] = {}

    def fits(self, facts: Facts) -> bool:
        """Return whether the rows are data and more than columns; curves are not for pictures."""
        curves = self.preprocess == "gaussianise" and facts.pictures
        return not facts.gradient and not curves and facts.rows > facts.columns

    def distance(self, facts: Facts) -> float:
        """Return |log(rows/known rows)| + 2 |log(columns/known columns)|."""
        rows, columns = math.log(facts.rows / self.rows), math.log(facts.columns / self.columns)
        return abs(rows) + 2 * abs(columns)

    def tables(self, facts: Facts) -> Options:
        """Return the preprocessing, the maps and the options of the solver."""
        maps = {"name": "autoregressive", "tails": "defensive", "radial": True}
        block = self.block if "name" in self.block else {**maps, **self.block}
        return {"preprocess": self.preprocess, "block": block, "solver": dict(self.solver)}


class TableOnCurves(_Known):
    """Splines after affine maps, on curves of columns.

    Example:
        >>> TableOnCurves().distance(Facts(15_000, 2_000, 10))
        0.0
    """

    rows, columns, preprocess = 15_000, 10, "gaussianise"
    block: ClassVar = {
        "univariate": "affine_spline", "transforms": 4, "bins": 8, "hidden": [64] * 4,
        "magnitudes": True,
    }  # fmt: skip


class TableWhitened(TableOnCurves):
    """Splines of more bins after affine maps, on whitened columns.

    Example:
        >>> TableWhitened().preprocess
        'whiten'
    """

    rows, preprocess = 4_000, "whiten"
    block: ClassVar = {**TableOnCurves.block, "bins": 16}


class Wide(_Known):
    """Affine maps, then splines, of wide nets.

    Example:
        >>> Wide().tables(Facts(48_000, 5_000, 63))["block"]["hidden"]
        [160, 160]
    """

    rows, columns = 40_000, 40
    solver: ClassVar = {"matrix_rate": 0.01}

    def tables(self, facts: Facts) -> Options:
        """Return maps whose nets are as wide as the budget lets them learn."""
        width = 32 * round(5 * (facts.budget / 60) ** 0.2)
        made = super().tables(facts)
        made["block"] |= {
            "univariate": ["affine"] * 4 + ["affine_spline"] * 2,
            "transforms": 6, "bins": 4, "hidden": [width] * 2,
        }  # fmt: skip
        return made


class Plane(_Known):
    """Splines of many bins with relu nets.

    Example:
        >>> Plane().fits(Facts(1000, 100, 2)), Plane().fits(Facts(1000, 100, 3))
        (True, False)
    """

    rows, columns = 20_000, 2
    block: ClassVar = {
        "univariate": "spline", "transforms": 3, "bins": 32, "hidden": [64] * 2,
        "activation": "relu", "residual": False, "radial": False,
    }  # fmt: skip
    solver: ClassVar = {"learning_rate": 3e-3}

    def fits(self, facts: Facts) -> bool:
        """Return whether there are two columns at most."""
        return super().fits(facts) and facts.columns <= 2


class FewRows(_Known):
    """Small nets, on curves of columns.

    Example:
        >>> FewRows().solver["batch_size"]
        256
    """

    rows, columns, preprocess = 300, 10, "gaussianise"
    block: ClassVar = {
        "univariate": "affine_spline", "transforms": 4, "bins": 8, "hidden": [32] * 2,
    }  # fmt: skip
    solver: ClassVar = {"matrix_rate": 0.01, "batch_size": 256, "ema": 0.95, "noise": 0.1}


class FewRowsWhitened(FewRows):
    """Small nets, on whitened columns.

    Example:
        >>> FewRowsWhitened().preprocess
        'whiten'
    """

    rows, preprocess = 2_000, "whiten"
    solver: ClassVar = {**FewRows.solver, "noise": 0.0}


class Gaussians(_Known):
    """A mixture of Gaussians.

    Example:
        >>> Gaussians().block["name"]
        'fitted_mixture'
    """

    block: ClassVar = {"name": "fitted_mixture"}
    solver: ClassVar = {"recorded": [[0]]}  # EM fits it, so that its trial has no iterations

    def fits(self, facts: Facts) -> bool:
        """Return whether there are no conditions, and not so many columns that EM is slow."""
        return super().fits(facts) and not facts.conditions and facts.columns <= 30

    def distance(self, facts: Facts) -> float:
        """Return the same for all data: EM takes a small part of a trial."""
        return 0.8


class OneGaussian(_Known):
    """A Gaussian.

    Example:
        >>> OneGaussian().fits(Facts(5, 5, 10))
        True
    """

    block: ClassVar = {"name": "affine"}
    solver: ClassVar = {"optimiser": "adam", "learning_rate": 1e-2, "noise": 0.4}

    def fits(self, facts: Facts) -> bool:
        """Return whether the rows are data."""
        return not facts.gradient

    def distance(self, facts: Facts) -> float:
        """Return |log(rows/five rows a column)|."""
        return abs(math.log(facts.rows / (5 * facts.columns)))
