"""Measurements of a flow through populations in time, at the end of its run."""

from __future__ import annotations

from torch import Tensor

from wopt.config.model import RunConfig
from wopt.data.snapshots import PopulationsReport
from wopt.errors import WoptError
from wopt.flow import Flow
from wopt.interfaces.listener import Listener
from wopt.origin import culprit, in_words
from wopt.seeds import derive
from wopt_evolution.at_time import at_times

__all__ = ["populations_report"]


def populations_report(
    config: RunConfig, flow: Flow, listener: Listener
) -> PopulationsReport | None:
    """Return distances of carried rows from each population, and from those left out.

    Args:
        config: The run's options.
        flow: The run's model.
        listener: Warned if the measurement fails, which does not fail the run.

    Returns:
        The source's report; ``None`` if it has no populations or the measurement fails.
    """
    source, blocks = config.source, len(flow.blocks)
    snapshots = source.snapshots()
    if snapshots is None or not blocks:
        return None
    clock = snapshots.clock(blocks)

    def carry(x: Tensor, begin: float, time: float) -> Tensor:
        """Return rows x, shape ``(n, d)``, of one time at another."""
        return at_times(flow, clock, x, begin, [time])[0][0].cpu()

    try:
        return source.judge(carry, blocks, derive(config.seed, "populations"))
    except WoptError as error:
        why = str(error)
    except Exception as error:  # an error of a plugin must not lose the finished run
        why = f"{culprit(error) or 'wopt'}: {in_words(error)}"
    listener.warn(f"populations are not judged: {why}")
    return None
