"""The debiased Sinkhorn divergence."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, final

import torch
from pydantic import Field
from torch import Tensor

import wopt
from wopt import ConfigError, DataError, DivergenceError
from wopt.interfaces import Draws
from wopt_geomloss.entropic.plan import NotConverged, solve_between, solve_within
from wopt_geomloss.options import SampledTarget, Samples
from wopt_geomloss.variation import TransportObjective, Variation

_SHARE = 0.05
"""The automatic epsilon, as a fraction of the mean squared distance within the target."""

_BYTES = 72, 16
"""Bytes of memory for a pair of a particle and a sample, and for a pair of particles."""


@final
class Sinkhorn(TransportObjective):
    """The debiased Sinkhorn divergence to samples of a target q.

        G(rho) = OT(rho, q) - OT(rho, rho)/2 - OT(q, q)/2,
        OT(p, q) = min over plans pi of  E_pi |x - y|^2 + epsilon KL(pi | p x q),
        grad_W G(x) = 2 (b_rho(x) - b_q(x)),    b_p(x) = E_pi[y | x] to p = rho or q.

    It goes from W_2^2 (epsilon -> 0: twice ``wasserstein``) to |mean difference|^2 (epsilon ->
    infinity), is never negative, and zero at q only. Where others state a blur for the cost |x -
    y|^2/2, as geomloss does, blur^2 = epsilon/2, and their divergence is half of this one.

    geomloss anneals epsilon and stops short of the optimum, where its own gradient is still
    inaccurate. So its potentials are a start only, from which POT continues until the marginals
    are right to ``tolerance``. By the envelope theorem value and gradient are then the optimum's:
    the gradient with an error in proportion to the tolerance, the value with its square.

    Plans are dense: up to 72 n m + 16 n^2 bytes for n particles and m samples. The number of
    iterations grows as 1/epsilon. An epsilon far below the squared distance between neighbours
    makes an almost exact plan, slow to compute; ``wasserstein`` is then the better objective. No
    lambda of convexity is known. In batches of b particles the energy at q is above 0 by about 1/b,
    by much less than that of ``wasserstein``.

    Source: Genevay, Peyre, Cuturi, Learning generative models with Sinkhorn divergences, 2018;
    Feydy et al., Interpolating between optimal transport and MMD using Sinkhorn divergences, 2019;
    docs/theory 2, row 14.

    Raises:
        ConfigError: The plans do not fit into ``memory``.
        DataError: All samples of the target coincide, and epsilon is ``auto``.
        DivergenceError: The tolerance was not reached.

    Example:
        >>> import torch
        >>> from wopt.testing import NormalTarget
        >>> g = Sinkhorn(NormalTarget([0.0], [[1e-12]]), epsilon=0.1)
        >>> round(float(g.energy(wopt.Particles(torch.full((4, 1), 2.0).double()))), 4)
        4.0
    """

    cites = ("genevay2018", "feydy2019")
    # Checks compare the derivative with differences, which needs a converged plan.
    example: ClassVar[dict[str, Any]] = {"epsilon": 1.0, "tolerance": 1e-11, "samples": 100}

    def __init__(
        self,
        target: SampledTarget = wopt.named("gaussian"),
        epsilon: Annotated[
            Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["auto"],
            Field(
                description="weight of the entropy, in squared units of the coordinates; auto: a "
                "twentieth of the mean squared distance between samples of the target, computed "
                "once"
            ),
        ] = "auto",
        tolerance: Annotated[
            float, Field(gt=0, lt=1, description="largest error of the plan's marginals, in L1")
        ] = 1e-3,
        iterations: Annotated[
            int, Field(ge=1, description="largest number of Sinkhorn iterations")
        ] = 10_000,
        memory: Annotated[
            float, Field(gt=0, description="GB that the plans may use; more is refused")
        ] = 4.0,
        samples: Samples = 1000,
    ) -> None:
        self.target = target
        self.epsilon = None if epsilon == "auto" else epsilon
        self.tolerance = tolerance
        self.iterations = iterations
        self.memory = memory
        self.draws = Draws(target, samples, torch.float64)

    def variation(self, x: Tensor, a: Tensor, y: Tensor, b: Tensor) -> Variation:
        """Return the divergence ``()``, f_q - f_rho ``(n,)`` and 2 (b_rho - b_q) ``(n, d)``."""
        self._check_memory(len(x), len(y))
        epsilon = self._temperature(x)
        how = (epsilon, self.tolerance, self.iterations)
        try:
            between = solve_between(x, a, y, b, *how)
            within = solve_within(x, a, *how)
            of_target = self.draws.remember("of_target", x, lambda: solve_within(y, b, *how).value)
        except NotConverged as error:
            raise DivergenceError(
                f"sinkhorn: the plan's marginals are off by {error.error:.1g} after "
                f"{self.iterations} iterations at epsilon = {epsilon:.3g}, more than tolerance = "
                f"{self.tolerance:g}. Use a larger epsilon, a larger tolerance (1e-2 is enough to "
                "train) or more iterations; for an almost exact plan use the objective wasserstein"
            ) from None
        return Variation(
            between.value - (within.value + of_target) / 2,
            between.potential - within.potential,
            2 * (within.image - between.image),
        )

    def _check_memory(self, n: int, m: int) -> None:
        need = (_BYTES[0] * n * m + _BYTES[1] * n * n) / 1e9
        if need > self.memory:
            raise ConfigError(
                f"sinkhorn: {n} particles and {m} samples of the target need up to {need:.1f} GB, "
                f"more than memory = {self.memory:g} GB. Use fewer particles at once "
                "(solver.batch_size while training, the source's n_valid and n_test elsewhere), "
                "fewer samples (samples), or a larger memory"
            )

    def _temperature(self, like: Tensor) -> float:
        if self.epsilon is not None:
            return self.epsilon
        spread = self.draws.of_target("spread", like, lambda y: y.var(0, correction=0).sum())
        if spread == 0:
            raise DataError(
                "sinkhorn: all samples of the target coincide, so they give no epsilon; give a "
                "positive one"
            )
        return _SHARE * 2 * spread
