"""zuko's flows, trained by maximum likelihood in turns of given CPU seconds."""

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

__all__ = ["Rival", "Training", "score"]

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


class Training:
    """A rival in training, in turns with others, on draws of its own.

    The schedule is wopt's: 5 % of warm-up, a cosine down to 1 %, gradients clipped at 10. The
    parameters kept are those of the turn's end that was best on the held-out rows.

    Args:
        rival: What and how.
        train: Rows in the flow's coordinates, shape ``(n, d)``.
        valid: Held-out rows.
        look: Called after every turn with the seconds spent and, if it is the best yet, the flow.
        seed: Of parameters and batches.

    Attributes:
        seconds: CPU seconds of training so far; held-out checks are not counted.
        iterations: Made so far.
    """

    def __init__(
        self,
        rival: Rival,
        train: Tensor,
        valid: Tensor,
        look: Callable[[float, nn.Module | None], None] = lambda spent, flow: None,
        seed: int = 0,
    ) -> None:
        self.seconds, self.iterations = 0.0, 0
        self._rival, self._train, self._valid, self._look = rival, train, valid, look
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._flow = rival.build(train.shape[1]).train()
            self._draws = torch.get_rng_state()
        self._average = AveragedModel(self._flow, multi_avg_fn=get_ema_multi_avg_fn(rival.ema))
        of_matrices = rival.matrix_rate if rival.optimiser == "muon" else None
        self._optimisers = adam_and_muon(
            self._flow, rival.learning_rate, of_matrices, rival.weight_decay
        )
        groups = [group for o in self._optimisers for group in o.param_groups]
        self._peaks = [(group, group["lr"]) for group in groups]
        self._batches = _batches(len(train), rival.batch_size)
        self._done, self._least = 0.0, math.inf
        self._best: dict[str, Tensor] = {}

    def advance(self, seconds: float, done: float) -> None:
        """Train for so many CPU seconds, at the end of which the share ``done`` of all is over."""
        with torch.random.fork_rng():
            torch.set_rng_state(self._draws)
            began, spent, before = time.process_time(), 0.0, self._done
            while spent < seconds:
                self._iterate(_schedule(before + (done - before) * spent / seconds))
                spent = time.process_time() - began
            self._draws = torch.get_rng_state()
        self.seconds, self._done = self.seconds + spent, done
        self._check()

    def finish(self) -> nn.Module:
        """Return the flow with the parameters that were best on the held-out rows."""
        self._flow.load_state_dict(self._best)
        return self._flow.eval()

    def _iterate(self, fraction: float) -> None:
        for group, peak in self._peaks:
            group["lr"] = peak * fraction
        loss = -self._flow().log_prob(self._train[next(self._batches)]).mean()
        self._flow.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._flow.parameters(), 10.0)
        for o in self._optimisers:
            o.step()
        self._average.update_parameters(self._flow)
        self.iterations += 1

    def _check(self) -> None:
        candidate = self._average.module
        # The exact trace of a CNF in many dimensions is dear: only its last average is used.
        known = self._rival.flow != "CNF"
        now = float(-score(candidate, self._valid).mean()) if known else 0.0
        better = not known or now < self._least
        if better:
            self._least = now
            self._best = {k: v.detach().clone() for k, v in candidate.state_dict().items()}
        self._look(self.seconds, candidate if better else None)


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
    size = min(size, n)
    while True:
        order = torch.randperm(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
