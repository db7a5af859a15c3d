"""Laws of tables with the structures that real ones have, for ``tables.py``."""

from __future__ import annotations

import numpy as np

__all__ = ["LAWS"]

Rng = np.random.Generator
Rows = np.ndarray


def arm(r: Rng, n: int) -> Rows:
    """Eight angles of joints, and the distance that a robot's hand has from a point."""
    angle = r.uniform(-np.pi / 2, np.pi / 2, (n, 8))
    total, place = np.zeros((n, 2)), np.zeros((n, 3))
    for k in range(4):
        total += angle[:, 2 * k : 2 * k + 2]
        place[:, 0] += np.cos(total[:, 0]) * np.cos(total[:, 1])
        place[:, 1] += np.sin(total[:, 0]) * np.cos(total[:, 1])
        place[:, 2] += np.sin(total[:, 1])
    away = np.linalg.norm(place - [2.0, 0.5, 0.5], axis=1)
    return np.column_stack([angle, away + 0.02 * r.normal(size=n)])


def response(r: Rng, n: int) -> Rows:
    """Seven normal columns and y = f(u) + 0.05 noise."""
    u = r.normal(size=(n, 7))
    y = np.sin(2 * u[:, 0]) + 0.5 * u[:, 1] * u[:, 2] + np.tanh(u[:, 3]) + 0.3 * np.abs(u[:, 4])
    return np.column_stack([u, y + 0.05 * r.normal(size=n)])


def control(r: Rng, n: int) -> Rows:
    """Delayed states of a controlled system in cells of 3 to 1,500 values, now and then far out."""
    state, rows = np.zeros(4), np.empty((n, 12))
    turn = np.linalg.qr(r.normal(size=(4, 4)))[0] * 0.97
    for k in range(n):
        state = turn @ state + 0.2 * r.normal(size=4) * (1 + 4 * (r.random() < 0.01))
        rows[k] = np.concatenate([state, np.round(state * 2), np.tanh(state)])
    rows[:, 8] *= np.where(r.random(n) < 0.998, 1, 40)
    cells = np.array([0.01] * 4 + [1.0] * 4 + [0.001, 0.02, 0.1, 0.5])
    return np.round(rows / cells) * cells


def readings(r: Rng, n: int) -> Rows:
    """Ten readings of three states, half of them zero now and then, one row of 300 a fault."""
    z = r.normal(size=(n, 3))
    x = z @ r.normal(size=(3, 10)) + 0.1 * r.normal(size=(n, 10))
    x[:, 5:] = np.where(r.random((n, 5)) < 0.2, 0.01 * r.normal(size=(n, 5)), np.exp(x[:, 5:] / 2))
    fault = r.random(n) < 1 / 300
    x[fault, :3] += 50 * r.standard_t(1.5, size=(fault.sum(), 3))
    return x


def factors(r: Rng, n: int) -> Rows:
    """Ten columns from three factors whose scales differ between two groups."""
    group = r.random(n) < 0.3
    z = r.normal(size=(n, 3)) * np.where(group, 0.4, 1.2)[:, None]
    return z @ r.normal(size=(3, 10)) + 0.3 * r.normal(size=(n, 10)) + group[:, None]


def curved(r: Rng, n: int) -> Rows:
    """Five smooth columns, each bent by those before it."""
    z = r.normal(size=(n, 5))
    x = z.copy()
    for k in range(1, 5):
        x[:, k] = 0.6 * z[:, k] + np.sin(x[:, k - 1]) + 0.2 * x[:, k - 1] ** 2
    return x


def heavy(r: Rng, n: int) -> Rows:
    """A Student law of six columns with 2.5 degrees of freedom, and products of them."""
    scale = np.sqrt(r.chisquare(2.5, (n, 1)) / 2.5)
    x = r.normal(size=(n, 6)) @ (np.eye(6) + 0.4 * r.normal(size=(6, 6))) / scale
    return np.column_stack([x, np.sign(x[:, 0]) * np.sqrt(np.abs(x[:, 0] * x[:, 1]))])


def groups(r: Rng, n: int) -> Rows:
    """Six Gaussians of any covariance in seven columns."""
    k = r.integers(0, 6, n)
    means, turns = 3 * r.normal(size=(6, 7)), r.normal(size=(6, 7, 7)) / 2
    return means[k] + np.einsum("nij,nj->ni", turns[k], r.normal(size=(n, 7)))


def prices(r: Rng, n: int) -> Rows:
    """Areas, rooms, distances and log-normal prices that follow from them."""
    area, rooms = r.lognormal(4.3, 0.4, n), r.poisson(3, n) + 1.0
    away, year = r.gamma(2.0, 5.0, n), np.round(r.beta(3, 1.5, n) * 80 + 1940)
    quality = r.normal(size=n) + (year - 1980) / 40
    price = area**0.9 * np.exp(0.2 * quality - 0.03 * away + 0.1 * rooms + 0.1 * r.normal(size=n))
    tax = np.round(price * (0.01 + 0.002 * (away > 12)), 1)
    return np.column_stack([area, rooms, away, year, quality, price, tax])


def walk(r: Rng, n: int) -> Rows:
    """Nine places of a walk whose step has the sign of a slow oscillation."""
    phase = r.uniform(0, 2 * np.pi, (n, 1)) + 0.7 * np.arange(9)
    return np.cumsum(np.sin(phase) + 0.1 * r.normal(size=(n, 9)), axis=1)


LAWS = {
    law.__name__: law
    for law in (arm, response, control, readings, factors, curved, heavy, groups, prices, walk)
}
"""Laws by name: a generator and a number of rows to rows ``(n, d)``."""
