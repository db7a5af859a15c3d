"""The components, by the names that `wopt` exports and no others."""

import json
from typing import Annotated

import torch
from pydantic import Field

import wopt

Centre = Annotated[float, Field(description="in every coordinate")]
Factor = Annotated[float, Field(gt=0, description="a factor")]


class Bowl(wopt.Target):
    """V = |x - c|^2 / 2."""

    provides = wopt.Capability.POTENTIAL | wopt.Capability.SCORE
    convexity = smoothness = 1.0

    def __init__(self, centre: Centre = 0.0):
        self.centre = centre

    def potential(self, x):
        return (x - self.centre).square().sum(1) / 2


class Drift(wopt.Objective):
    """E V(x), V the potential of a target."""

    needs = wopt.Capability.POTENTIAL

    def __init__(
        self,
        target: Annotated[wopt.Target, Field(description="has V")] = wopt.named("gaussian"),
        strength: Factor = 1.0,
    ):
        self.target, self.strength = target, strength

    def contributions(self, particles):
        return self.strength * self.target.potential(particles.points)


class Dear(wopt.Subproblem):
    """Transport costs twice as much."""

    proximal = False

    def cost(self, moved):
        return (moved.points - self.anchor).square().sum(1) / self.step_size

    def stationarity(self, block):
        return None


class Heavy(wopt.ProximalScheme):
    """min G + E|T(x) - x|^2 / h', h' a share of h."""

    looks_back = False

    def __init__(
        self, step_size: wopt.StepSizeOption = wopt.named("constant"), share: Factor = 1.0
    ):
        self.step_size, self.share = step_size, share

    def plan(self, history, objective):
        return {"share": self.share}

    def subproblem(self, history, objective):
        x, share = history.particles, history.plan["share"]
        return Dear(x, x.points, share * history.step_size, objective)


class Stretch(wopt.FlowBlock):
    """T(x) = x exp(s) + gain b, coordinate by coordinate."""

    provides = wopt.Capability.LOG_DET | wopt.Capability.INVERSE

    def __init__(self, dim: int, gain: Factor = 1.0):
        super().__init__()
        self.gain = gain
        self.s, self.b = (torch.nn.Parameter(torch.zeros(dim)) for _ in range(2))

    def forward(self, x):
        return x * self.s.exp() + self.gain * self.b, self.s.sum().expand(len(x))

    def inverse(self, y):
        return (y - self.gain * self.b) * (-self.s).exp(), -self.s.sum().expand(len(y))


class Cloud(wopt.Source):
    """Draws of N(c, I) in two dimensions."""

    def __init__(self, centre: Centre = 3.0):
        self.centre = centre

    def load(self, seed):
        rng = torch.Generator().manual_seed(seed)
        draws = self.centre + torch.randn(400, 2, dtype=torch.float64, generator=rng)
        parts = draws.split((200, 100, 100))
        return wopt.Dataset(*parts, wopt.AffineTransform.fit(parts[0], "none"), ("a", "b"))


class Harmonic(wopt.StepSize):
    """h / (n + 1), and half of it after a rejection."""

    def __init__(self, first: Factor = 1.0):
        self.first = first

    def __call__(self, step, previous=None):
        return self.first / (step + 1)

    def after_rejection(self, step_size):
        return step_size / 2


class Diary(wopt.Tracker):
    """Writes what it is told to a file."""

    def __init__(self, path: Annotated[str, Field(description="the file")]):
        self.path = path

    def _write(self, value):
        with open(self.path, "a") as file:
            file.write(json.dumps(value) + "\n")

    start = step = end = _write
