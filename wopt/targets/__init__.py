"""Models of probabilistic programming languages as densities for :func:`wopt.sample`.

Each adapter imports its language when called, so that wopt does not depend on it.
"""

from wopt.targets.given import GivenModel
from wopt.targets.numpyro import from_numpyro
from wopt.targets.pymc import from_pymc
from wopt.targets.pyro import from_pyro

__all__ = ["GivenModel", "from_numpyro", "from_pymc", "from_pyro"]
