"""The components, by the names that `wopt` exports and no others."""

import json
from typing import Annotated

import torch
from pydantic import Field

import wopt


class Bowl(wopt.Target):
    """V = |x - c|^2 / (2 w^2)."""

    provides = wopt.Capability.POTENTIAL | wopt.Capability.SCORE

    def __init__(
        self,
        centre: Annotated[float, Field(description="c, in every coordinate")] = 0.0,
        width: Annotated[float, Field(gt=0, description="w")] = 1.0,
    ):
        self.centre, self.width = centre, width
        self.convexity = self.smoothness = 1 / width**2

    def potential(self, x):
        return (x - self.centre).square().sum(1) / (2 * self.width**2)


class Drift(wopt.Objective):
    """E V(x), V the potential of a target."""

    needs = wopt.Capability.POTENTIAL

    def __init__(
        self,
        target: Annotated[wopt.Target, Field(description="has V")] = wopt.named("gaussian"),
        strength: Annotated[float, Field(gt=0, description="a factor")] = 1.0,
    ):
        self.target, self.strength = target, strength
        self.convexity = None if target.convexity is None else strength * target.convexity

    def contributions(self, particles):
        return self.strength * self.target.potential(particles.points)


class Dear(wopt.Subproblem):
    """Transport costs more, by a factor that the scheme has planned."""

    proximal = False
    price = 1.0

    def cost(self, moved):
        away = moved.points - self.anchor
        return self.price * away.square().sum(1) / (2 * self.step_size)

    def stationarity(self, block):
        return None


class Heavy(wopt.ProximalScheme):
    """min G + price E|T(x) - x|^2 / (2 h)."""

    looks_back = False

    def __init__(
        self,
        step_size: wopt.StepSizeOption = wopt.named("constant"),
        price: Annotated[float, Field(ge=1, description="factor of the cost")] = 2.0,
    ):
        self.step_size, self.price = step_size, price

    def plan(self, history, objective):
        return {"price": self.price}

    def subproblem(self, history, objective):
        x = history.particles
        made = Dear(x, x.points, history.step_size, objective)
        object.__setattr__(made, "price", history.plan.get("price", self.price))
        return made


class Stretch(wopt.FlowBlock):
    """T(x) = x exp(s) + gain b, coordinate by coordinate."""

    provides = wopt.Capability.LOG_DET | wopt.Capability.INVERSE

    def __init__(self, dim: int, gain: Annotated[float, Field(gt=0, description="of b")] = 1.0):
        super().__init__()
        self.gain = gain
        self.log_scale = torch.nn.Parameter(torch.zeros(dim))
        self.shift = torch.nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        y = x * self.log_scale.exp() + self.gain * self.shift
        return y, self.log_scale.sum().expand(len(x))

    def inverse(self, y):
        x = (y - self.gain * self.shift) * (-self.log_scale).exp()
        return x, -self.log_scale.sum().expand(len(y))


class Cloud(wopt.Source):
    """Draws of N(mean, I) in two dimensions."""

    def __init__(
        self,
        mean: Annotated[float, Field(description="of both coordinates")] = 3.0,
        rows: Annotated[int, Field(ge=10, description="training rows")] = 200,
    ):
        self.mean, self.rows = mean, rows

    def load(self, seed):
        rng = torch.Generator().manual_seed(seed % 2**63)
        sizes = self.rows, self.rows // 2, self.rows // 2
        parts = [self.mean + torch.randn(n, 2, dtype=torch.float64, generator=rng) for n in sizes]
        return wopt.Dataset(*parts, wopt.AffineTransform.fit(parts[0], "none"), ("a", "b"))


class Harmonic(wopt.StepSize):
    """h / (n + 1), and half of it after a rejection."""

    def __init__(self, first: Annotated[float, Field(gt=0, description="h")] = 1.0):
        self.first = first

    def __call__(self, step, previous=None):
        return self.first / (step + 1)

    def after_rejection(self, step_size):
        return step_size / 2


class Diary(wopt.Tracker):
    """Writes what it is told to a file."""

    def __init__(self, path: Annotated[str, Field(description="the file")]):
        self.path = path

    def _write(self, word, value):
        with open(self.path, "a") as file:
            file.write(json.dumps([word, value]) + "\n")

    def start(self, config):
        self._write("start", config)

    def step(self, record):
        self._write("step", record)

    def end(self, result):
        self._write("end", result)
