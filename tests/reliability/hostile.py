"""Components of every kind of which one method does something wrong."""

import sys

import numpy as np
import torch

import wopt
from wopt import Capability

METHODS = {
    "block": ("__init__", "forward", "inverse", "audit", "move", "state", "initialise"),
    "objective": ("energy", "contributions", "terms"),
    "scheme": ("subproblem", "plan"),
    "target": ("potential", "sample"),
    "source": ("load", "train", "test", "transform", "names"),
    "step_size": ("__call__",),
    "tracker": ("start", "step", "end"),
}
"""Of each kind; of a source also the parts of the data that it loads."""

WAYS = ("raise", "exit", "list", "numpy", "none", "width", "integers", "text")


def spoilt(how, value):
    """Return something in place of a value, or raise."""
    if how == "raise":
        raise KeyError("I fail")
    if how == "exit":
        sys.exit(3)
    if how == "numpy":
        return value.detach().numpy() if isinstance(value, torch.Tensor) else np.zeros(3)
    if how == "integers":
        return value.long() if isinstance(value, torch.Tensor) else -3
    return {"list": [1, 2], "none": None, "width": torch.zeros(7, 9), "text": "x"}[how]


def hostile(kind, method, how):
    """Return a class of which one method is wrong."""

    def of(name, value):
        return spoilt(how, value) if name == method else value

    return _MAKERS[kind](of)


def _block(of):
    class Bad(wopt.FlowBlock):
        """x + b."""

        provides = Capability.LOG_DET | Capability.INVERSE

        def __init__(self, dim: int):
            super().__init__()
            self.b = torch.nn.Parameter(torch.zeros(dim))
            of("__init__", None)

        def forward(self, x):
            return of("forward", x + self.b), torch.zeros_like(x[:, 0])

        def inverse(self, y):
            return of("inverse", y - self.b), torch.zeros_like(y[:, 0])

        def audit(self, x):
            return of("audit", x + self.b), torch.zeros_like(x[:, 0])

        def move(self, x):
            return of("move", x + self.b)

        def state(self):
            return of("state", super().state())

        def initialise(self, points):
            of("initialise", None)

    return Bad


def _objective(of):
    class Bad(wopt.Objective):
        """E|x|^2/2."""

        def energy(self, particles):
            return of("energy", particles.mean(particles.points.square().sum(1)) / 2)

        def contributions(self, particles):
            return of("contributions", particles.points.square().sum(1) / 2)

        def terms(self, particles):
            return of("terms", super().terms(particles))

    return Bad


def _scheme(of):
    class Bad(wopt.ProximalScheme):
        """jko."""

        def __init__(self, step_size: wopt.StepSize = wopt.named("constant")):
            self.step_size = step_size

        def subproblem(self, history, objective):
            x = history.particles
            made = wopt.Subproblem(x, x.points, history.step_size, objective)
            return of("subproblem", made)

        def plan(self, history, objective):
            return of("plan", {})

    return Bad


def _target(of):
    class Bad(wopt.Target):
        """The standard normal law."""

        provides = Capability.POTENTIAL | Capability.NORMALISED | Capability.TARGET_SAMPLES

        def potential(self, x):
            return of("potential", x.square().sum(1) / 2 + 0.9189385 * x.shape[1])

        def sample(self, n, dim, generator):
            return of("sample", torch.randn(n, dim, generator=generator, dtype=torch.float64))

    return Bad


def _source(of):
    class Bad(wopt.Source):
        """A normal law."""

        def load(self, seed):
            x = torch.randn(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            parts = [of("train", x[:200]), x[200:250], of("test", x[250:])]
            transform = of("transform", wopt.AffineTransform.fit(x, "none"))
            return of("load", wopt.Dataset(*parts, transform, of("names", ("a", "b"))))

    return Bad


def _step_size(of):
    class Bad(wopt.StepSize):
        """h = 1."""

        def __call__(self, step, previous=None):
            return of("__call__", 1.0)

    return Bad


def _tracker(of):
    class Bad(wopt.Tracker):
        """Nobody."""

        def start(self, config):
            of("start", None)

        def step(self, record):
            of("step", None)

        def end(self, result):
            of("end", None)

    return Bad


_MAKERS = {
    "block": _block,
    "objective": _objective,
    "scheme": _scheme,
    "target": _target,
    "source": _source,
    "step_size": _step_size,
    "tracker": _tracker,
}
