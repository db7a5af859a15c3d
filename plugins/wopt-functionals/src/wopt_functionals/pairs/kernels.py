"""Positive definite radial kernels, and their random Fourier features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from wopt_functionals.pairs.kernel import RadialKernel, root
from wopt_functionals.pairs.line import distances_on_line

KernelName = Literal["gaussian", "laplace", "inverse_multiquadric", "energy"]


def make_kernel(name: KernelName, bandwidth: float) -> RadialKernel:
    """Return a kernel by name, of r = |x - y| and bandwidth h.

    gaussian exp(-r^2/2h^2), laplace exp(-r/h), inverse_multiquadric (1 + r^2/h^2)^(-1/2), and
    energy -r, which is conditionally positive definite and has no bandwidth.

    Example:
        >>> float(make_kernel("gaussian", 2.0).profile(torch.tensor(0.0)))
        1.0
    """
    h = bandwidth
    profiles: dict[str, Callable[[Tensor], Tensor]] = {
        "gaussian": lambda s: torch.exp(s * (-0.5 / h**2)),
        "laplace": lambda s: torch.exp(root(s) * (-1 / h)),
        "inverse_multiquadric": lambda s: torch.rsqrt(1 + s / h**2),
    }
    return Distance() if name == "energy" else RadialKernel(profiles[name])


class Distance(RadialKernel):
    """k(x, y) = -|x - y|, on the line by sorting."""

    def __init__(self) -> None:
        super().__init__(lambda squared: -root(squared))

    def without_pairs(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor | None:
        """Return the sums on the line, shape ``(n,)``."""
        return -distances_on_line(x[:, 0], y[:, 0], v) if x.shape[1] == 1 else None


def frequencies(
    name: KernelName, bandwidth: float, count: int, dim: int, rng: torch.Generator
) -> Tensor:
    """Draw from the kernel's spectral measure, shape ``(count, dim)``, float64.

    The Laplace kernel's is a multivariate Cauchy law; the inverse multiquadric is the mean of
    Gaussian kernels exp(-u r^2/h^2) over u ~ Gamma(1/2).

    Source: Rahimi, Recht, Random features for large-scale kernel machines, 2007.
    """
    options = {"generator": rng, "dtype": torch.float64, "device": rng.device}
    normal = torch.randn(count, dim, **options) / bandwidth  # type: ignore[call-overload]
    if name == "gaussian":
        return normal
    other = torch.randn(count, 1, **options).abs()  # type: ignore[call-overload]
    # |z| of a normal z: the Cauchy law's denominator, and sqrt(2u) of u ~ Gamma(1/2).
    return normal / other if name == "laplace" else normal * other
