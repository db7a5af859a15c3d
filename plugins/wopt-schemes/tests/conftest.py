"""What the tests share: one thread, the problems, and every scheme written out in label space."""

import math

import pytest

import wopt
from wopt.testing import gaussian_problems

OPTIONS = {"semi_forward_backward": {"curvature": 1.0}, "accelerated": {"convexity": 0.5}}


@pytest.fixture(scope="session")
def problems():
    return gaussian_problems()


@pytest.fixture(scope="session")
def make():
    """Return a function that makes a scheme by name, with the options it needs for KL."""

    def build(name, step_size, **options):
        table = {"name": name, "step_size": step_size, **OPTIONS.get(name, {}), **options}
        return wopt.build("scheme", table)

    return build


@pytest.fixture(scope="session")
def exact():
    """Return a function that makes a scheme's steps exactly, on labels (b, A)."""
    return label_steps


def label_steps(name, p, step_sizes):
    """Return labels after steps of these sizes: the formulas of docs/theory 3."""
    x, before, gradient, h_before = p.labels(), None, None, None
    c = 1 - 1 / math.sqrt(2)
    for h in step_sizes:
        g = p.gradient(x)
        if name == "jko" or (name in ("bdf2", "crank_nicolson") and before is None):
            y = p.prox(x, h)
            gradient = (x - y) / h
        elif name == "explicit":
            y = x - h * g
        elif name == "extragradient":
            y = x - h * p.gradient(x - h * g)
        elif name == "explicit_midpoint":
            y = x - h * p.gradient(x - h / 2 * g)
        elif name == "forward_backward":
            y = p.entropy_prox(x - h * p.gradient(x, entropy=False), h)
        elif name == "semi_forward_backward":
            y = p.prox((1 + h) * x, h, curvature=1.0)
        elif name == "bdf2":
            w = h / h_before
            anchor = ((1 + w) ** 2 * x - w**2 * before) / (1 + 2 * w)
            y = p.prox(anchor, h * (1 + w) / (1 + 2 * w))
        elif name == "crank_nicolson":
            anchor = x - h / 2 * gradient
            y = p.prox(anchor, h / 2)
            gradient = (anchor - y) / (h / 2)
        elif name == "midpoint":
            y = 2 * p.prox(x, h / 2) - x
        elif name == "sdirk2":
            first = p.prox(x, c * h)
            y = p.prox(x - (1 - c) * h * p.gradient(first), c * h)
        elif name == "accelerated":
            k = (1 + h * 0.5) / (h * 0.5)
            beta = 0.0 if before is None else (math.sqrt(k) - 1) / (math.sqrt(k) + 1)
            y = p.prox(x if before is None else x + beta * (x - before), h)
        x, before, h_before = y, x, h
    return x
