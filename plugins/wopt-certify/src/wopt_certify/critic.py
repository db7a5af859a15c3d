"""The critic: test fields for the Stein form, fitted and evaluated on different rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from wopt.seeds import derive
from wopt.stein import AffineField, SteinForm
from wopt_certify.challenge.mixture import MixtureDensity
from wopt_certify.estimate import Estimate, combine
from wopt_certify.fields import CriticOptions, MixtureScore, NetField, RadialField, WaveField

__all__ = ["TOGETHER", "CriticOptions", "seen_by_fields"]

Field = Callable[..., tuple[Tensor, Tensor]]
"""A test field: from points ``(n, d)``, and their context ``(n, k)`` if any, to ``(phi, div phi)``,
shapes ``(n, d)`` and ``(n,)``."""

TOGETHER = "together"
"""The name of the best combination of all fields."""

_BANDWIDTHS = (0.12, 0.35, 1.0)
"""Bandwidths of waves, in units of a typical distance, sqrt(d) standard deviations."""


def seen_by_fields(form: SteinForm, options: CriticOptions) -> dict[str, Estimate]:
    """Return the part of |xi| that each test field sees, and their best combination.

        |xi| >= sup over phi of <xi, phi>/|phi|

    up to the sampling error that the interval states: a finite class cannot see all of xi.

    Fields in closed form: an affine one; one that depends on the distance from a centre; random
    waves at several bandwidths; the score of a mixture of Gaussians. Then a net.
    The effort does not depend on that of the run: a weak run must not get a weak critic.

    Rows are cut into two halves: fields fitted on one are evaluated on the other, and the other
    way round, so no row evaluates a field that was fitted to it. Quadrature nodes (weights) serve
    for both and have no sampling error; there only affine fields and one net are used.

    Raises:
        CapabilityError: The net has no velocity.

    Source: docs/theory.md 4.2 (b), (4.1).
    """
    if form.weights is not None:
        parts = [_judged(form, _fields(form, form, options), form)]
    else:
        parts = []
        for k in (0, 1):
            fit, judge = form.rows(slice(k, None, 2)), form.rows(slice(1 - k, None, 2))
            cut = max(1, len(fit.points) * 4 // 5)
            fold = dataclasses.replace(options, seed=derive(options.seed, "fold", k))
            train, validation = fit.rows(slice(cut)), fit.rows(slice(cut, None))
            parts.append(_judged(validation, _fields(train, validation, fold), judge))
    return {name: combine([part[name] for part in parts], options.level) for name in parts[0]}


def _judged(
    validation: SteinForm, fields: dict[str, Field], judge: SteinForm
) -> dict[str, tuple[float, float]]:
    """Return <xi, phi>/|phi| and its error on other rows, by field and for their combination."""
    values = {name: field(*judge.inputs) for name, field in fields.items()}
    sizes = {name: judge.size(*value) for name, value in values.items()}
    weights = _weights(validation, [field(*validation.inputs) for field in fields.values()])
    pairs = list(zip(weights, values.values(), strict=True))
    phi = torch.stack([w * v for w, (v, _) in pairs]).sum(0)
    divergence = torch.stack([w * div for w, (_, div) in pairs]).sum(0)
    return {**sizes, TOGETHER: judge.size(phi, divergence)}


def _weights(validation: SteinForm, values: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the best combination of fields on held-out rows."""
    # Fields that see nothing there would add their sampling error: all but the affine one need
    # three times their standard error.
    sizes = [validation.size(*value) for value in values]
    used = [k for k, (size, error) in enumerate(sizes) if not k or size > 3 * error]
    linear, gram = _system(validation, [values[k] for k in used])
    # A field that is zero (an exact step can leave nothing to find) makes the matrix singular.
    some = torch.linalg.lstsq(gram, linear[:, None], driver="gelsd").solution[:, 0]
    weights = linear.new_zeros(len(values))
    weights[used] = some if float(some @ linear) > 0 else torch.ones_like(some)
    return weights


def _system(validation: SteinForm, values: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    linear = torch.stack([validation.mean(validation.along(*value)) for value in values])
    gram = torch.stack(
        [torch.stack([validation.mean((a * b).sum(1)) for a, _ in values]) for b, _ in values]
    )
    return linear, gram


def _fields(train: SteinForm, validation: SteinForm, options: CriticOptions) -> dict[str, Field]:
    """Return fields fitted on ``train``, their states chosen on ``validation``."""
    fields: dict[str, Field] = {"affine": AffineField(train)}
    if not options.iterations:
        return fields
    if train.weights is None:
        fields |= _closed_forms(train, validation, options)
    fields[f"net {options.iterations}"] = NetField(train, validation, options)
    return fields


def _closed_forms(
    train: SteinForm, validation: SteinForm, options: CriticOptions
) -> dict[str, Field]:
    seed = options.seed
    d = train.points.shape[1]
    fields: dict[str, Field] = {
        f"waves {fraction:g}": WaveField(
            train, validation, fraction * math.sqrt(d), derive(seed, k)
        )
        for k, fraction in enumerate(_BANDWIDTHS)
    }
    fields["radial"] = RadialField(train, validation)
    if train.context is not None:
        return fields
    fields["mixture score"] = MixtureScore(_mixture(train, validation, options))
    return fields


def _mixture(train: SteinForm, validation: SteinForm, options: CriticOptions) -> MixtureDensity:
    """Return the mixture fitted to these rows, once for all forms on them."""
    seed = derive(options.seed, "mixture")
    for rows, of_seed, known in options.mixtures:
        if of_seed == seed and torch.equal(rows, train.points):
            return known
    made = MixtureDensity.best(train.points, validation.points, seed)
    options.mixtures.append((train.points, seed, made))
    return made
