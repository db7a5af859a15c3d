"""Posteriors of posteriordb, with reference draws."""

from __future__ import annotations

import functools
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from wopt import Capability, DataError, Target
from wopt.interfaces import support_of
from wopt_measures.laws.gaussian import check_points
from wopt_measures.sliced import sliced_w2

Posterior = Literal["eight_schools_centered", "eight_schools_noncentered", "arK", "kidscore_momiq"]
_SCHOOLS = [f"theta[{j}]" for j in range(1, 9)]
_ARK = ["alpha", *(f"beta[{j}]" for j in range(1, 6)), "sigma"]
_FILES = {
    "eight_schools_centered": ("eight_schools", "eight_schools-eight_schools_noncentered"),
    "eight_schools_noncentered": ("eight_schools", "eight_schools-eight_schools_noncentered"),
    "arK": ("arK", "arK-arK"),
    "kidscore_momiq": ("kidiq", "kidiq-kidscore_momiq"),
}
_NAMES = {
    "eight_schools_centered": [*_SCHOOLS, "mu", "tau"],
    "eight_schools_noncentered": [*(f"eta[{j}]" for j in range(1, 9)), "mu", "tau"],
    "arK": _ARK,
    "kidscore_momiq": ["beta[1]", "beta[2]", "sigma"],
}


class PosteriordbTarget(Target):
    """A posterior of posteriordb: its log-density in torch, up to a constant, and reference draws.

    | posterior | coordinates | model |
    |---|---|---|
    | ``eight_schools_centered`` | theta_1, ..., theta_8, mu, tau | effects theta_j ~ N(mu, tau^2) |
    | ``eight_schools_noncentered`` | eta_1, ..., eta_8, mu, tau | the same, theta_j = mu + tau eta_j |
    | ``arK`` | alpha, beta_1, ..., beta_5, sigma | an autoregression of order 5 on 200 times |
    | ``kidscore_momiq`` | beta_1, beta_2, sigma | a linear regression of 434 rows |

    tau and sigma are positive; maps act on their logarithms. The folder holds the files of
    posteriordb: ``data__NAME.json.zip`` and ``ref__POSTERIOR.json.zip``, 10 chains of 1,000 draws.
    :meth:`figures` compares with these: ``mean_error`` is the largest difference of means and
    ``sd_error`` the largest relative difference of standard deviations, in units of the reference's
    standard deviations; ``sliced_w2``, with coordinates in the same units, is given beside
    ``sliced_w2_of_halves``, the distance of the reference's halves from each other.

    Source: Magnusson, Buerkner, Vehtari, *posteriordb*, 2023.

    Raises:
        DataError: A file is missing.

    Example:
        >>> PosteriordbTarget("arK", folder="nowhere")
        Traceback (most recent call last):
        wopt.errors.DataError: no posteriordb file .../nowhere/data__arK.json.zip; `folder` is where they are
    """  # noqa: E501

    cites = ("magnusson2023",)
    provides = Capability.POTENTIAL | Capability.SCORE

    def __init__(
        self,
        posterior: Annotated[Posterior, Field(description="name of the posterior")],
        folder: Annotated[
            Path,
            AfterValidator(lambda path: path.expanduser().absolute()),
            Field(description="where the files are, relative to the current directory"),
        ],
    ) -> None:
        self.posterior, self.folder = posterior, folder
        self.names = tuple(_NAMES[posterior])
        self.dim = len(self.names)
        self.support = support_of({self.names[-1]: "positive"}, self.names)
        data = _unzipped(folder / f"data__{_FILES[posterior][0]}.json.zip")
        self._log_prob = _MODELS[posterior](data)

    def potential(self, x: Tensor) -> Tensor:
        """Return V in nats, in free coordinates: shape ``(n, d)`` to ``(n,)``."""
        check_points(x, self.dim)
        assert self.support is not None
        own, log_det = self.support(x)
        return -self._log_prob(own) - log_det

    def reference(self) -> Tensor:
        """Return the reference draws, in the order of ``names``, shape ``(10000, d)``.

        Raises:
            DataError: The file is missing.
        """
        chains = _unzipped(self.folder / f"ref__{_FILES[self.posterior][1]}.json.zip")
        schools = self.posterior.startswith("eight")
        names = [*_SCHOOLS, "mu", "tau"] if schools else list(self.names)
        columns = [np.concatenate([chain[name] for chain in chains]) for name in names]
        draws = torch.from_numpy(np.stack(columns, 1)).double()
        if self.posterior == "eight_schools_noncentered":
            draws[:, :8] = (draws[:, :8] - draws[:, 8:9]) / draws[:, 9:]
        return draws

    def figures(self, draws: Tensor, weights: Tensor) -> dict[str, float]:
        """Return errors of draws ``(n, d)``, with weights ``(n,)``, against the reference."""
        known = self.reference()
        sd = known.std(0)
        mean = weights @ draws
        spread = (weights @ (draws - mean).square()).sqrt()
        rng = torch.Generator().manual_seed(0)
        rows = torch.multinomial(weights, len(known), replacement=True, generator=rng)
        half = len(known) // 2
        return {
            "mean_error": float(((mean - known.mean(0)) / sd).abs().max()),
            "sd_error": float((spread / sd - 1).abs().max()),
            "sliced_w2": sliced_w2(draws[rows] / sd, known / sd),
            "sliced_w2_of_halves": sliced_w2(known[:half] / sd, known[half:] / sd),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.posterior, self.folder)  # the function is made again


def _unzipped(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"no posteriordb file {path}; `folder` is where they are")
    try:
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read(file.namelist()[0]))
    except (zipfile.BadZipFile, ValueError, IndexError, OSError) as error:
        raise DataError(f"{path}: is damaged: {error}; download it again") from None


def _normal(x: Tensor, mean: Tensor | float, sd: Tensor | float) -> Tensor:
    log_sd = torch.log(torch.as_tensor(sd))
    return -((x - mean) / sd).square() / 2 - log_sd - math.log(2 * math.pi) / 2


def _half_cauchy(x: Tensor, scale: float) -> Tensor:
    return math.log(2 / (math.pi * scale)) - torch.log1p((x / scale).square())


LogProb = Callable[[Tensor], Tensor]


def _schools(data: Any, *, centred: bool) -> LogProb:
    y, sigma = (torch.tensor(data[key], dtype=torch.float64) for key in ("y", "sigma"))

    def log_prob(x: Tensor) -> Tensor:
        """Return log p, shape ``(n,)``."""
        t, mu, tau = x[:, :8], x[:, 8:9], x[:, 9:]
        prior = _normal(t, mu, tau) if centred else _normal(t, 0.0, 1.0)
        theta = t if centred else mu + tau * t
        rest = _normal(mu, 0.0, 5.0)[:, 0] + _half_cauchy(tau, 5.0)[:, 0]
        return prior.sum(1) + _normal(y.to(x), theta, sigma.to(x)).sum(1) + rest

    return log_prob


def _autoregression(data: Any) -> LogProb:
    y, k = torch.tensor(data["y"], dtype=torch.float64), data["K"]
    past = torch.stack([y[k - 1 - j : len(y) - 1 - j] for j in range(k)], 1)

    def log_prob(x: Tensor) -> Tensor:
        """Return log p, shape ``(n,)``."""
        mean = x[:, :1] + x[:, 1 : k + 1] @ past.to(x).T
        rows = _normal(y[k:].to(x), mean, x[:, k + 1 :]).sum(1)
        return rows + _normal(x[:, : k + 1], 0.0, 10.0).sum(1) + _half_cauchy(x[:, k + 1], 2.5)

    return log_prob


def _regression(data: Any) -> LogProb:
    score, iq = (torch.tensor(data[key], dtype=torch.float64) for key in ("kid_score", "mom_iq"))

    def log_prob(x: Tensor) -> Tensor:
        """Return log p, shape ``(n,)``."""
        mean = x[:, :1] + x[:, 1:2] * iq.to(x)
        return _normal(score.to(x), mean, x[:, 2:]).sum(1) + _half_cauchy(x[:, 2], 2.5)

    return log_prob


_MODELS: dict[str, Callable[[Any], LogProb]] = {
    "eight_schools_centered": functools.partial(_schools, centred=True),
    "eight_schools_noncentered": functools.partial(_schools, centred=False),
    "arK": _autoregression,
    "kidscore_momiq": _regression,
}
