"""Candidates: options that the planner may try for a step, besides those of its rules."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from wopt.component import Component

__all__ = ["Candidate"]


class Candidate(Component, abc.ABC):
    """Options that may suit some data; trials on held-out rows decide.

    Example:
        >>> import wopt
        >>> class Shallow(wopt.Candidate):
        ...     '''Splines with one small net.'''
        ...     def tables(self, facts):
        ...         return {"block": {"hidden": [8]}}
        >>> Shallow().fits(None)
        True
    """

    kind: ClassVar[str] = "candidate"
    rank: ClassVar[int] = 100
    """Place in the order in which candidates are tried."""

    def fits(self, facts: Any) -> bool:
        """Return whether the options can be used at all, by hard limits such as pictures.

        Args:
            facts: Numbers of rows and columns, conditions and kinds of columns, a
                :class:`wopt.plan.Facts`.
        """
        return True

    @abc.abstractmethod
    def tables(self, facts: Any) -> dict[str, Any]:
        """Return tables of a configuration: block, scheme, solver and so on."""

    def reason(self, facts: Any) -> str:
        """Return the reason for the options, in a clause."""
        return ""
