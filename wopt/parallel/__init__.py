"""One run by several processes, among which rows and sums are divided."""

from wopt.parallel.rows import over_rows
from wopt.parallel.team import SOLO, Team

__all__ = ["SOLO", "Team", "over_rows"]
