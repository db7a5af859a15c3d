"""zuko's flows, trained by maximum likelihood for a given number of CPU seconds."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
import zuko
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wopt.train.optimisers import adam_and_muon

__all__ = ["Fitted", "Rival", "fit", "score"]

_CHECKS = 20
"""How often the held-out likelihood is looked at; its best parameters are kept."""

_FINE = {"exact": True, "atol": 1e-5, "rtol": 1e-5}
"""How a CNF is audited: by the exact trace and a fine tolerance."""


@dataclasses.dataclass(frozen=True)
class Rival:
    """A flow of zuko and how it is trained.

    Attributes:
        flow: The class in ``zuko.flows``.
        optimiser: adam, or muon for the matrices and adam for the rest, as in wopt.
        learning_rate: Peak of the cosine schedule of Adam.
        matrix_rate: The same of Muon.
        weight_decay: Of the weights, decoupled.
        batch_size: Rows an iteration.
        ema: Decay of the average of the parameters that is the model.
        options: Of the flow.
    """

    flow: Literal["NSF", "MAF", "CNF"]
    optimiser: Literal["adam", "muon"] = "muon"
    learning_rate: float = 2e-3
    matrix_rate: float = 0.02
    weight_decay: float = 0.0
    batch_size: int = 500
    ema: float = 0.99
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def build(self, dim: int) -> nn.Module:
        """Return a new flow."""
        options = dict(self.options)
        activation = options.pop("activation", None)
        if activation:
            options["activation"] = getattr(nn, activation)
        made: nn.Module = getattr(zuko.flows, self.flow)(dim, **options)
        return made


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained flow.

    Attributes:
        flow: With the parameters that were best on the held-out rows.
        seconds: CPU seconds of training; held-out checks are not counted.
        iterations: Made.
    """

    flow: nn.Module
    seconds: float
    iterations: int


def fit(
    rival: Rival,
    train: Tensor,
    valid: Tensor,
    seconds: float,
    *,
    seed: int = 0,
    look: Callable[[float, nn.Module | None], None] = lambda spent, flow: None,
) -> Fitted:
    """Train for ``seconds`` of this process's CPU time.

    The schedule is wopt's: 5 % of warm-up, a cosine down to 1 %, gradients clipped at 10.

    Args:
        rival: What and how.
        train: Rows in the flow's coordinates, shape ``(n, d)``.
        valid: Held-out rows.
        seconds: CPU seconds.
        seed: Of parameters and batches.
        look: Called at every held-out check with the seconds spent and, if it is the best yet,
            the flow.
    """
    torch.manual_seed(seed)
    flow = rival.build(train.shape[1]).train()
    average = AveragedModel(flow, multi_avg_fn=get_ema_multi_avg_fn(rival.ema))
    of_matrices = rival.matrix_rate if rival.optimiser == "muon" else None
    optimisers = adam_and_muon(flow, rival.learning_rate, of_matrices, rival.weight_decay)
    peaks = [group["lr"] for o in optimisers for group in o.param_groups]
    batches = _batches(len(train), rival.batch_size)
    spent, iterations, least = 0.0, 0, math.inf
    best: dict[str, Tensor] = {}
    for check in range(1, _CHECKS + 1):
        began = time.process_time() - spent
        while spent < seconds * check / _CHECKS:
            share = _schedule(spent / seconds)
            groups = [group for o in optimisers for group in o.param_groups]
            for group, peak in zip(groups, peaks, strict=True):
                group["lr"] = peak * share
            loss = -flow().log_prob(train[next(batches)]).mean()
            flow.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
            for o in optimisers:
                o.step()
            average.update_parameters(flow)
            iterations += 1
            spent = time.process_time() - began
        candidate = average.module
        # The exact trace of a CNF in many dimensions is dear: it is looked at once, at the end.
        now = 0.0 if rival.flow == "CNF" else float(-score(candidate, valid).mean())
        better = rival.flow == "CNF" or now < least
        if better:
            least = now
            best = {k: v.detach().clone() for k, v in candidate.state_dict().items()}
        look(spent, candidate if better else None)
    flow.load_state_dict(best)
    return Fitted(flow.eval(), spent, iterations)


def score(flow: nn.Module, x: Tensor, *, audit: bool = False) -> Tensor:
    """Return log-densities; with ``audit`` a CNF's by the exact trace and a fine tolerance."""
    transform = getattr(flow, "transform", None)
    held = {k: getattr(transform, k) for k in _FINE if hasattr(transform, k)} if audit else {}
    for key in held:
        setattr(transform, key, _FINE[key])
    flow.eval()
    with torch.no_grad():
        found = torch.cat([flow().log_prob(rows) for rows in x.split(2000)])
    flow.train()
    for key, value in held.items():
        setattr(transform, key, value)
    return found


def _schedule(done: float, warmup: float = 0.05, final: float = 0.01) -> float:
    if done < warmup:
        return max(done / warmup, 0.01)
    phase = (done - warmup) / (1 - warmup)
    return final + (1 - final) * (1 + math.cos(math.pi * min(phase, 1.0))) / 2


def _batches(n: int, size: int) -> Iterator[Tensor]:
    while True:
        order = torch.randperm(n)
        for start in range(0, n - size + 1, min(size, n)):
            yield order[start : start + size]
