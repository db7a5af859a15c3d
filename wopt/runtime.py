"""What computes a problem: processes, memory and precision."""

from __future__ import annotations

import dataclasses

from wopt.mapped import IN_MEMORY, Memory
from wopt.parallel import SOLO, Team
from wopt.precision import Precision


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What computes a problem, which is all that its work knows of the machine.

    Device and dtype are those of the particles, and random numbers a function of the problem's seed
    and a key. What is not given a runtime sends no messages and makes no files.

    Attributes:
        team: The processes among which rows are divided.
        memory: Where tensors of many rows are.
        by_rows: Whether each process loads its own training rows alone.
        precision: Precision to which nets round the matrices that they multiply in training;
            ``None`` for that of the particles.
        compile: Whether ``torch.compile`` compiles maps in training.
    """

    team: Team = SOLO
    memory: Memory = IN_MEMORY
    by_rows: bool = False
    precision: Precision | None = None
    compile: bool = False

    @property
    def alone(self) -> Runtime:
        """The same without the other processes."""
        return dataclasses.replace(self, team=SOLO, by_rows=False)


ALONE = Runtime()
"""One process, all in memory."""
