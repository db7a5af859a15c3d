"""One run by several processes, among which rows and sums are divided."""

from wopt.parallel.rows import over_rows
from wopt.parallel.team import SOLO, Team, alone, joined, loading, sharing, team

__all__ = ["SOLO", "Team", "alone", "joined", "loading", "over_rows", "sharing", "team"]
