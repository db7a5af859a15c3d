"""Flows: a map and a base law, sampled and evaluated in the data's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.flow.base import DistributionLaw as DistributionLaw
    from wopt.flow.base import SourceLaw as SourceLaw
    from wopt.flow.base import draw as draw
    from wopt.flow.base import noise as noise
    from wopt.flow.chain import Chain as Chain
    from wopt.flow.chain import Inverse as Inverse
    from wopt.flow.conversions import FlowDistribution as FlowDistribution
    from wopt.flow.conversions import free as free
    from wopt.flow.flow import Flow as Flow
    from wopt.flow.marginal import log_marginal as log_marginal

__getattr__, __dir__ = exports(__name__, __file__)
