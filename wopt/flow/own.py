"""A flow to a constrained target, in free coordinates and in the author's."""

from __future__ import annotations

from wopt.flow.chain import Chain, Inverse
from wopt.flow.flow import Flow
from wopt.interfaces.target import Target

__all__ = ["free", "in_own_units"]


def in_own_units(flow: Flow, target: Target | None) -> Flow:
    """Return the flow with samples and densities in the coordinates of the target's author.

    A model of data is in the data's units and returned unchanged.

    Args:
        flow: A flow in the coordinates of :meth:`Target.potential`.
        target: The target of its blocks.
    """
    if flow.pulls_back or target is None or target.support is None:
        return flow
    chain = Chain(flow.blocks, flow.transform, target.support)
    return Flow(Inverse(chain), flow.base, flow.names)


def free(flow: Flow) -> Flow:
    """Return the same flow in free coordinates, those of :meth:`Target.potential`."""
    if flow.chain.support is None:
        return flow
    return Flow(Inverse(Chain(flow.blocks, flow.transform)), flow.base, flow.names)
