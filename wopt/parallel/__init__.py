"""One run by several processes: who they are, and how rows and sums are divided among them."""

from wopt.parallel.rows import over_rows
from wopt.parallel.team import SOLO, Team, alone, joined, team

__all__ = ["SOLO", "Team", "alone", "joined", "over_rows", "team"]
