"""Memory of tensors, checked before they are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Allocations"]

_SIZED = frozenset({
    "empty", "full", "ones", "rand", "randn", "zeros", "new_empty", "new_full", "new_ones",
    "new_zeros", "randint", "normal",
})  # fmt: skip
_COUNTED = frozenset({"arange", "randperm", "linspace", "eye"})


class Allocations(TorchFunctionMode):
    """Calls a function with the bytes of tensors before they are made.

    Args:
        check: Called with the bytes of a tensor to be made; it may raise.
        together: Whether bytes of earlier tensors are added.
    """

    def __init__(self, check: Callable[[float], None], *, together: bool) -> None:
        super().__init__()
        self.check = check
        self.together = together
        self.made = 0.0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Check a call of torch, then make it."""
        options = dict(kwargs or {})
        size = _numbers(getattr(func, "__name__", ""), args, options)
        if size:
            dtype = options.get("dtype") or torch.get_default_dtype()
            self.made = size * dtype.itemsize + self.made * self.together
            self.check(self.made)
        return func(*args, **options)


def _numbers(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> float:
    """Return the number of elements that a call makes, if its arguments tell it."""
    if name not in _SIZED and name not in _COUNTED:
        return 0.0
    given = [*args, options.get("size")]
    listed = next((one for one in given if isinstance(one, (list, tuple, torch.Size))), None)
    numbers = [float(one) for one in listed or args if isinstance(one, (int, float))]
    if name in _COUNTED:
        if name == "eye":
            return math.prod(numbers if len(numbers) > 1 else numbers * 2)
        return max((abs(number) for number in numbers), default=0.0)
    return math.prod(numbers) if numbers else 0.0
