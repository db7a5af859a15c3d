"""What the tests share: trained-looking blocks and nets in float64."""

import pytest
import torch

from wopt_jko.ode.block import ODEBlock


@pytest.fixture
def shaken():
    """Return a function that gives a module random parameters, in float64."""
    torch.manual_seed(0)  # nets are made with torch's global generator

    def shake(module, size=0.5, seed=0):
        rng = torch.Generator().manual_seed(seed)
        module = module.double()
        for parameter in module.parameters():
            parameter.data += size * torch.randn(parameter.shape, dtype=torch.double, generator=rng)
        return module

    return shake


@pytest.fixture
def block(shaken):
    """Return a function that makes a smooth block whose map is far from the identity."""

    def make(dim=3, steps=8, seed=0, size=0.4, **options):
        options = {"width": 8, "activation": "tanh", "sharpness": 1.0, "jitter": 0.5} | options
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = ODEBlock(dim=dim, steps=steps, **options)
        return shaken(made, size, seed).requires_grad_(False).eval()

    return make


@pytest.fixture
def x():
    """Return a few points in three dimensions."""
    rng = torch.Generator().manual_seed(9)
    return torch.randn(40, 3, dtype=torch.float64, generator=rng)
