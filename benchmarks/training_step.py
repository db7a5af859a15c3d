"""One training step of the ``ode`` block against other ways to the same log-determinant.

    OMP_NUM_THREADS=1 python benchmarks/training_step.py [--dims 2 10 43 63 784]

Forward and backward of the JKO loss, E[|y|^2/2 - log det + |y - x|^2/(2h)], of one velocity net of
two hidden layers, integrated by RK4 on one grid. The rivals have the same weights and get the
divergence otherwise, or integrate by torchdiffeq; zuko's CNF has a net of the same width and its
own adaptive solver, so its number of evaluations, shown, is what its tolerance asks for; the
others make 16, and none again in the backward pass except for torchdiffeq's adjoint.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from bench import interleaved, keep_memory, machine, one_thread, ratio, table
from torch import Tensor, nn

from wopt_jko.ode.block import ODEBlock
from wopt_jko.ode.integrate import RK4, integrate, uniform_grid

H = 1.0
FRACTION = 8
"""Of many dimensions, a backward pass for each is timed for these few and extrapolated."""
CLOSED, HUTCHINSON, EACH = "closed form (wopt)", "Hutchinson, 1 probe", "one pass per dimension"

Loss = Callable[[], Tensor]


def jko_loss(x: Tensor, y: Tensor, log_det: Tensor) -> Tensor:
    """Return KL to a standard Gaussian, up to a constant, plus the transport."""
    return (y.square().sum(1) / 2 - log_det + (y - x).square().sum(1) / (2 * H)).mean()


def make(dim: int, width: int, steps: int) -> ODEBlock:
    """Return a block whose map is not the identity."""
    torch.manual_seed(0)
    block = ODEBlock(dim, width=width, sharpness=5.0, steps=steps, jitter=0.0)
    nn.init.normal_(block.net.get_parameter("last.weight"), std=0.1 / width**0.5)
    return block


def autograd_field(block: ODEBlock, kind: str, probe: Tensor, passes: int | None = None) -> Any:
    """Return v with its divergence by backward passes: ``each`` coordinate or Hutchinson's."""
    plain = block.net.field(False)

    def field(t: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            v = plain(t, x)[0]
            if kind == "hutchinson":
                (back,) = torch.autograd.grad(v, x, probe, create_graph=True)
                return v, (back * probe).sum(1)
            rate = x.new_zeros(len(x))
            for i in range(x.shape[1] if passes is None else passes):
                (back,) = torch.autograd.grad(v[:, i].sum(), x, create_graph=True)
                rate = rate + back[:, i]
        return v, rate

    return field


def torchdiffeq_loss(block: ODEBlock, x: Tensor, probe: Tensor, how: str) -> Loss:
    """Return the loss with torchdiffeq's RK4 (its 3/8 rule: as many evaluations)."""
    import torchdiffeq

    def field() -> Any:
        exact = how == "closed"
        return block.net.field(True) if exact else autograd_field(block, "hutchinson", probe)

    class Augmented(nn.Module):
        """The adjoint differentiates each evaluation, so it must begin at the parameters."""

        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return field()(t, state[0])

    model = Augmented()
    times, options = torch.tensor([0.0, 1.0]), {"step_size": 1 / int(block.steps)}

    def loss() -> Tensor:
        start = (x, x.new_zeros(len(x)))
        if how == "adjoint":
            y, log_det = torchdiffeq.odeint_adjoint(
                model, start, times, method="rk4", options=options
            )
        else:
            velocity = field()
            y, log_det = torchdiffeq.odeint(
                lambda t, s: velocity(t, s[0]), start, times, method="rk4", options=options
            )
        return jko_loss(x, y[-1], log_det[-1])

    return loss


def zuko_loss(dim: int, width: int, x: Tensor, exact: bool) -> tuple[Loss, nn.Module, list[int]]:
    """Return the loss of zuko's CNF, the model, and a counter of its evaluations."""
    from zuko.flows import FFJTransform

    torch.manual_seed(0)
    lazy = FFJTransform(dim, hidden_features=(width, width), activation=nn.Softplus, exact=exact)
    nn.init.normal_(lazy.ode[-1].weight, std=0.1 / width**0.5)
    count = [0]
    plain = lazy.f

    def counted(t: Tensor, x: Tensor, c: Tensor | None = None) -> Tensor:
        count[0] += 1
        return plain(t, x, c)

    lazy.f = counted

    def loss() -> Tensor:
        count[0] = 0
        return jko_loss(x, *lazy().call_and_ladj(x))

    return loss, lazy, count


def backward(loss: Loss, model: nn.Module) -> Callable[[], None]:
    """Return the training step without the optimiser's part."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        loss().backward()

    return step


def measure(
    dim: int, width: int = 128, batch: int = 1000, steps: int = 4, repeats: int = 7
) -> list[tuple[str, float, float, str]]:
    """Return each rival's name, CPU milliseconds, ratio to the closed form, and a note."""
    block = make(dim, width, steps)
    x = torch.randn(batch, dim)
    probe = torch.randint(0, 2, x.shape).to(x) * 2 - 1
    grid = uniform_grid(steps)

    def by(kind: str, passes: int | None = None) -> Loss:
        def loss() -> Tensor:
            y, log_det, _ = integrate(autograd_field(block, kind, probe, passes), x, grid, RK4)
            return jko_loss(x, y, log_det)

        return loss

    def plain() -> Tensor:
        return jko_loss(x, block.move(x), x.new_zeros(len(x)))

    many = dim > 100
    rivals = {
        CLOSED: backward(lambda: jko_loss(x, *block(x)), block),
        HUTCHINSON: backward(by("hutchinson"), block),
        "no log-det at all": backward(plain, block),
        "torchdiffeq odeint, closed form": backward(
            torchdiffeq_loss(block, x, probe, "closed"), block
        ),
        "torchdiffeq odeint, Hutchinson": backward(
            torchdiffeq_loss(block, x, probe, "hutchinson"), block
        ),
        "torchdiffeq odeint_adjoint, Hutchinson": backward(
            torchdiffeq_loss(block, x, probe, "adjoint"), block
        ),
    }
    slow = {}
    if many:
        slow["one"] = backward(by("each", 1), block)
        slow["few"] = backward(by("each", 1 + FRACTION), block)
    else:
        slow[EACH] = backward(by("each"), block)
    notes, counts = {}, {}
    for exact in (False, True):
        name = f"zuko CNF, {'exact trace' if exact else 'Hutchinson'}"
        if exact and many:
            continue  # a batched backward pass for each of 784 dimensions would fill the memory
        loss, lazy, count = zuko_loss(dim, width, x, exact)
        slow[name] = backward(loss, lazy)
        counts[name] = count
    # Slow rivals are measured in fewer rounds, each with the reference beside them.
    rounds = [
        interleaved(rivals, repeats),
        interleaved({CLOSED: rivals[CLOSED], **slow}, max(3, repeats // 3), 0.1),
    ]
    for name, count in counts.items():
        notes[name] = f"{count[0]} evaluations, those of the backward pass included"
    if many:
        one, few = rounds[1].pop("one"), rounds[1].pop("few")
        fraction = (dim - 1) / FRACTION
        rounds[1][EACH] = [a + (b - a) * fraction for a, b in zip(one, few, strict=True)]
        notes[EACH] = f"extrapolated from {1 + FRACTION} of {dim} dimensions"
    rows = {
        name: (
            name,
            statistics.median(found[name]),
            ratio(found, name, CLOSED),
            notes.get(name, ""),
        )
        for found in reversed(rounds)
        for name in found
    }
    return sorted(rows.values(), key=lambda row: row[2])


SIZES = [
    (2, 16, 100),
    (2, 32, 500),
    (2, 128, 500),
    (10, 64, 500),
    (10, 128, 4096),
    (63, 128, 500),
    (63, 256, 1000),
    (784, 128, 500),
    (784, 256, 1000),
]
"""Dimension, width and batch at which the closed form meets its cheapest rival."""


def against_hutchinson(
    dim: int, width: int, batch: int, steps: int = 4, repeats: int = 7
) -> tuple[float, float, float]:
    """Return CPU milliseconds of the closed form and of Hutchinson's estimate, and their ratio."""
    block, x = make(dim, width, steps), torch.randn(batch, dim)
    probe = torch.randn(batch, dim).sign()
    grid = uniform_grid(steps)

    def estimate() -> Tensor:
        field = autograd_field(block, "hutchinson", probe)
        return jko_loss(x, *integrate(field, x, grid, RK4)[:2])

    rivals = {
        CLOSED: backward(lambda: jko_loss(x, *block(x)), block),
        HUTCHINSON: backward(estimate, block),
    }
    found = interleaved(rivals, repeats, 0.1)
    ms = [statistics.median(times) for times in found.values()]
    return ms[0], ms[1], ratio(found, HUTCHINSON, CLOSED)


def main() -> None:
    """Print a table for each dimension, and one against Hutchinson's estimate at many sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 10, 43, 63, 784])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4, help="RK4 steps")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sizes", action="store_true", help="only the table of many sizes")
    options = parser.parse_args()
    one_thread()
    keep_memory()
    if options.sizes:
        options.dims = []
    print(f"{machine()}; width {options.width}, batch {options.batch}, {options.steps} RK4 steps\n")
    for dim in options.dims:
        found = measure(dim, options.width, options.batch, options.steps, options.repeats)
        print(f"d = {dim}\n\n" + table(("", "CPU ms", "ratio", "note"), found) + "\n", flush=True)
    rows = [(*size, *against_hutchinson(*size, options.steps, options.repeats)) for size in SIZES]
    head = ("d", "width", "batch", "closed form, CPU ms", "Hutchinson", "ratio")
    print("Against Hutchinson's estimate\n\n" + table(head, rows))


if __name__ == "__main__":
    main()
