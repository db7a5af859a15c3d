"""Candidates: options that the planner may try, of which held-out rows choose."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from wopt.component import Component


class Candidate(Component, abc.ABC):
    """Options that may suit some data; held-out rows decide.

    Example:
        >>> import wopt
        >>> class Shallow(wopt.Candidate):
        ...     '''Splines with one small net.'''
        ...     def tables(self, facts):
        ...         return {"block": {"name": "autoregressive", "hidden": [8]}}
        >>> Shallow().fits(None)
        True
    """

    kind: ClassVar[str] = "candidate"

    @property
    def what(self) -> str:
        """What the options are, for the line that tells the plan: the docstring's first line."""
        text = (type(self).__doc__ or type(self).__name__).splitlines()[0].rstrip(".")
        return text[:1].lower() + text[1:]

    def fits(self, facts: Any) -> bool:
        """Return whether the options can be used at all, by hard limits such as pictures.

        Args:
            facts: Numbers of rows and columns, conditions and kinds of columns, a
                :class:`wopt.plan.Facts`.
        """
        return True

    def distance(self, facts: Any) -> float:
        """Return how far the data are from those on which the candidate is known to do well.

        The nearest candidate has its turn first, and stays where no other is better. The
        default, infinity, comes last.
        """
        return float("inf")

    @abc.abstractmethod
    def tables(self, facts: Any) -> dict[str, Any]:
        """Return tables of a configuration: block, solver, scheme and so on.

        A key ``preprocess`` chooses the preprocessing of the source, where it is not given.
        """
