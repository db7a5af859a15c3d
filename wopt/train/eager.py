"""torch's optimisers without torch's compiler, which is slow to import and not used here."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch

__all__ = ["Adam", "AdamW", "skip_compiler"]

_GUARDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def skip_compiler() -> None:
    """Let optimisers begin without an import of ``torch._dynamo``.

    torch keeps some methods out of compiled code by a wrapper that imports the compiler when first
    called, unless a cached result exists, which is set here. Nothing is done if the compiler is
    already imported.
    """
    if "torch._dynamo" in sys.modules:
        return
    for name in _GUARDED:
        method = getattr(getattr(torch.optim.Optimizer, name, None), "__wrapped__", None)
        if method is not None and not hasattr(method, "__dynamo_disable"):
            setattr(method, "__dynamo_disable", method)


class Adam(torch.optim.Adam):
    """``torch.optim.Adam`` with the same results.

    Example:
        >>> w, v = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
        >>> for p, kind in ((w, Adam), (v, torch.optim.Adam)):
        ...     p.grad = torch.arange(3.0)
        ...     _ = kind([p], lr=0.1).step()
        >>> torch.equal(w, v)
        True
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the parameters; unwrapped, since the wrapper breaks graphs of the compiler."""
        return inspect.unwrap(torch.optim.Adam.step)(self, closure)


class AdamW(torch.optim.AdamW):
    """``torch.optim.AdamW`` with the same results."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the parameters."""
        return inspect.unwrap(torch.optim.AdamW.step)(self, closure)


skip_compiler()
