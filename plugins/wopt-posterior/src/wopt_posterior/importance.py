"""Importance weights beside the samples of a push-forward model."""

from __future__ import annotations

from pathlib import Path

import click
from torch import Tensor

from wopt.errors import CapabilityError
from wopt.psis import smoothed_importance_weights
from wopt.runs import LoadedRun
from wopt_measures import effective_size, log_weights_of


def weight_columns(
    run: LoadedRun, directory: Path, x: Tensor, log_density: Tensor, *, quiet: bool
) -> Tensor:
    """Return log weights and smoothed weights, shape ``(n, 2)``, and print their diagnostics.

    Args:
        x: Samples by the audited maps, shape ``(n, d)``.
        log_density: The model's log-density at the samples in nats, shape ``(n,)``.
        quiet: Whether to print only if the weights are unreliable.

    Raises:
        CapabilityError: The model has no such weights.
    """
    import torch

    try:
        log_weights = log_weights_of(run.flow, run.config.objective.target, x, log_density)
    except CapabilityError as error:
        raise CapabilityError(f"{directory}: {error}; leave out --importance") from None
    smoothed = smoothed_importance_weights(log_weights)
    ess = effective_size(log_weights)
    note = f"importance weights: ESS {ess:.0f} of {len(x)}, k-hat {smoothed.k_hat:.2g}"
    if smoothed.k_hat <= smoothed.threshold:
        if not quiet:
            click.echo(f"{note}, at most {smoothed.threshold:.2g}")
    else:
        click.secho(
            f"warning: {note}, above {smoothed.threshold:.2g}: averages with them are not "
            "reliable. Draw more, or train longer",
            fg="yellow",
            err=True,
        )
    return torch.stack([log_weights, smoothed.weights], dim=1)
