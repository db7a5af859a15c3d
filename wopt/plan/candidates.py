"""The portfolio of the core: candidates that have done well on some tables, and on which."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from wopt.interfaces.candidate import Candidate
from wopt.plan.facts import Facts

__all__ = [
    "AffineOnCurves",
    "FewRows",
    "Gaussians",
    "Lean",
    "OneGaussian",
    "Plane",
    "Smooth",
    "Start",
    "TableOnCurves",
    "TableWhitened",
    "Wide",
]

Options = dict[str, Any]


class _Known(Candidate):
    """A candidate that did well on tables of some size: the measure of a distance."""

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
        """Return the logarithms of the ratios of rows and of columns, added up in size."""
        rows, columns = math.log(facts.rows / self.rows), math.log(facts.columns / self.columns)
        return abs(rows) + 2 * abs(columns)

    def tables(self, facts: Facts) -> Options:
        """Return the preprocessing, the maps and the options of the solver."""
        maps = {"name": "autoregressive", "tails": "defensive"}
        block = self.block if "name" in self.block else {**maps, **self.block}
        return {"preprocess": self.preprocess, "block": block, "solver": dict(self.solver)}


class TableOnCurves(_Known):
    """Residual nets, splines after affine maps, after curves that make columns nearly normal.

    Example:
        >>> TableOnCurves().distance(Facts(15_000, 2_000, 10))
        0.0
    """

    cites = ()
    what = "splines after affine maps, on curves of columns"
    rows, columns = 15_000, 10
    preprocess = "gaussianise"
    block: ClassVar = {
        "univariate": "affine_spline", "transforms": 4, "bins": 8, "hidden": [64] * 4,
        "magnitudes": True, "radial": True,
    }  # fmt: skip


class TableWhitened(TableOnCurves):
    """The same on whitened columns: curves hide laws of distances, and relations.

    Example:
        >>> TableWhitened().preprocess
        'whiten'
    """

    cites = ()
    what = "splines after affine maps, on whitened columns"
    rows = 40_000
    preprocess = "whiten"


class AffineOnCurves(_Known):
    """Affine maps of wider nets after curves: steep relations, values on grids.

    Example:
        >>> AffineOnCurves().block["univariate"]
        'affine'
    """

    cites = ()
    what = "affine maps on curves of columns"
    rows, columns = 20_000, 16
    preprocess = "gaussianise"
    block: ClassVar = {
        "univariate": "affine", "transforms": 6, "hidden": [128] * 2, "radial": True,
    }  # fmt: skip
    solver: ClassVar = {"matrix_rate": 0.01}


class Wide(_Known):
    """Affine maps and then splines with wider nets, for many columns.

    Example:
        >>> Wide().tables(Facts(48_000, 5_000, 63))["block"]["hidden"]
        [160, 160]
    """

    cites = ()
    what = "affine maps, then splines, of wide nets"
    rows, columns = 40_000, 40

    def tables(self, facts: Facts) -> Options:
        """Return maps whose nets are as wide as the budget lets them learn."""
        width = 32 * round(5 * (facts.budget / 60) ** 0.2)
        block = {
            "univariate": ["affine"] * 4 + ["affine_spline"] * 2,
            "transforms": 6, "bins": 4, "hidden": [width] * 2, "radial": True,
        }  # fmt: skip
        made = super().tables(facts)
        return {**made, "block": {**made["block"], **block}, "solver": {"matrix_rate": 0.01}}


class Plane(_Known):
    """Splines of many bins for two columns.

    Example:
        >>> Plane().fits(Facts(1000, 100, 2)), Plane().fits(Facts(1000, 100, 3))
        (True, False)
    """

    cites = ()
    what = "splines of many bins with relu nets"
    rows, columns = 20_000, 2
    block: ClassVar = {
        "univariate": "spline", "transforms": 3, "bins": 32, "hidden": [64] * 2,
        "activation": "relu", "residual": False,
    }  # fmt: skip
    solver: ClassVar = {"learning_rate": 3e-3}

    def fits(self, facts: Facts) -> bool:
        """Return whether there are two columns at most."""
        return super().fits(facts) and facts.columns <= 2


class FewRows(_Known):
    """Small nets with splines after affine maps.

    Example:
        >>> FewRows().solver["batch_size"]
        256
    """

    cites = ()
    what = "small nets"
    rows, columns = 1_000, 12
    preprocess = "gaussianise"
    block: ClassVar = {
        "univariate": "affine_spline", "transforms": 4, "bins": 8, "hidden": [32] * 2,
        "radial": True,
    }  # fmt: skip
    solver: ClassVar = {
        "matrix_rate": 0.01, "batch_size": 256, "ema": 0.95, "noise": 0.1,
    }  # fmt: skip


class Smooth(_Known):
    """Splines with noise, for few rows that are spread out.

    Example:
        >>> Smooth().block["univariate"]
        'spline'
    """

    cites = ()
    what = "splines with noise"
    rows, columns = 1_500, 10
    block: ClassVar = {
        "univariate": "spline", "transforms": 4, "bins": 8, "hidden": [64] * 3, "radial": True,
    }  # fmt: skip
    solver: ClassVar = {"batch_size": 256, "ema": 0.97, "noise": 0.2}


class Lean(_Known):
    """Nets of one layer of 16, for rows that bear little.

    Example:
        >>> Lean().block["hidden"]
        [16]
    """

    cites = ()
    what = "nets of one layer"
    rows, columns = 250, 10
    preprocess = "gaussianise"
    block: ClassVar = {
        "univariate": "affine_spline", "transforms": 3, "bins": 5, "hidden": [16], "radial": True,
    }  # fmt: skip
    solver: ClassVar = {
        "learning_rate": 3e-3, "matrix_rate": 0.005, "batch_size": 256, "ema": 0.95, "noise": 0.2,
    }  # fmt: skip


class Gaussians(_Known):
    """A mixture of Gaussians, fitted at once.

    Example:
        >>> Gaussians().block["name"]
        'fitted_mixture'
    """

    cites = ()
    what = "a mixture of Gaussians"
    rows, columns = 200, 10
    block: ClassVar = {"name": "fitted_mixture", "components": 32}
    solver: ClassVar = {"optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 0.0}

    def fits(self, facts: Facts) -> bool:
        """Return whether there are no conditions either."""
        return super().fits(facts) and not facts.conditions


class OneGaussian(Candidate):
    """A Gaussian, for hardly any rows.

    Example:
        >>> OneGaussian().fits(Facts(40, 5, 10))
        True
    """

    cites = ()
    what = "a Gaussian"

    def fits(self, facts: Facts) -> bool:
        """Return whether the rows are data."""
        return not facts.gradient

    def distance(self, facts: Facts) -> float:
        """Return the distance of the rows from three a column."""
        return abs(math.log(facts.rows / (3 * facts.columns)))

    def tables(self, facts: Facts) -> Options:
        """Return an affine map, with noise that widens it by what its moments are off."""
        whole = facts.rows >= 3 * facts.columns and facts.columns > 1
        solver = {"optimiser": "adam", "learning_rate": 1e-2, "noise": 0.4}
        return {
            "preprocess": "whiten" if whole else "standardise", "block": {"name": "affine"},
            "solver": solver,
        }  # fmt: skip


class Start(Candidate):
    """An autoregressive map of a start whose density is known.

    Example:
        >>> Start().fits(Facts(1000, 100, 2))
        False
    """

    cites = ()
    what = "an autoregressive map"

    def fits(self, facts: Facts) -> bool:
        """Return whether the rows are a start of known density."""
        return facts.gradient

    def distance(self, facts: Facts) -> float:
        """Return zero: no other candidate fits."""
        return 0.0

    def tables(self, facts: Facts) -> Options:
        """Return the map."""
        return {"block": {"name": "autoregressive"}, "solver": {"weight_decay": 0.0}}
