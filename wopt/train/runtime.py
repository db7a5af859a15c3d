"""How the work of a problem is computed."""

from __future__ import annotations

import dataclasses

from wopt.precision import Precision

__all__ = ["Runtime"]


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How the blocks of a problem are trained; their device and dtype are those of the particles.

    Attributes:
        precision: Precision to which nets round the matrices that they multiply in training;
            ``None`` for that of the particles.
        compile: Whether ``torch.compile`` compiles maps in training.

    Example:
        >>> Runtime("bf16").precision
        'bf16'
    """

    precision: Precision | None = None
    compile: bool = False
