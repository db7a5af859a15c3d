r"""
A certificate, and how it is refuted
====================================

Eight Gaussians on a circle, carried to noise in three steps. How far is the model from the data?
Theory bounds the divergence from *above*, given the first-order errors of the steps; but only a
part of these errors is seen by test fields. Challengers, other densities that predict fresh rows
better than the model, bound it from *below*, without any assumption. Where the two cross, the bound
is refuted. Here the law of the data is known, so that both can be held against the truth.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch

import wopt
from wopt_measures.laws.known import ring

law = ring()
rng = torch.Generator().manual_seed(0)
solution = wopt.fit(
    law.sample(6000, 2, rng),
    scheme={"name": "jko", "step_size": [1.0, 4.0, 16.0]},
    block={"name": "ode", "width": 48},
    solver={"iterations": 200},
    stop={"steps": 3},
    certify={"budget": 1.0, "two_sample": False, "transport_rows": 0},
)
certificate = solution.certificate()
print(textwrap.fill(certificate.statement.text, 88))

# %%
# The truth after each step: with the start's density known, KL is a mean over fresh rows.

rows = law.sample(10_000, 2, rng)
units = solution.flow.transform
points, log_det = units(rows)
log_p, points, truth = law.log_prob(rows) - log_det, points.float(), []
with torch.no_grad():
    for block in solution.flow.blocks:
        points, change = block(points)
        log_p = log_p - change
        gap = log_p + points.square().sum(1) / 2 + torch.log(torch.tensor(2 * torch.pi))
        truth.append(float(gap.mean()))
print("KL after each step:", [round(v, 3) for v in truth])

# %%
# Left: every bound from above, given the errors that were seen, and the truth. Several fall below
# it: a wrong statement, if it were made without its condition. Crosses are bounds that a fact
# contradicts; the certificate marks them *refuted* and leaves them out of its headline. Not all
# that are false are refuted: no challenger found enough. Right: the lower side, by challengers that
# are given more and more time.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
steps = [1, 2, 3]
shown = {"theorem_q": "Q", "log_sobolev": "log-Sobolev", "theorem_s": "S'", "paper": "the paper"}
for n, (name, label) in enumerate(shown.items()):
    entries = [step.bounds.gap[name] for step in certificate.steps]
    values = [np.nan if entry.value is None else entry.value for entry in entries]
    left.semilogy(steps, values, color=f"C{n}", lw=1, label=label)
    for step, value, entry in zip(steps, values, entries, strict=True):
        left.plot(step, value, "x" if entry.refuted else "o", color=f"C{n}", ms=8)
left.semilogy(steps, truth, "k--", label="KL, true")
left.set(
    xticks=steps, xlabel="step", ylabel="nats", title="bounds given the errors seen (x: refuted)"
)
left.legend()

escalation = certificate.challengers.escalation
right.errorbar(
    [rung.seconds for rung in escalation],
    [rung.gain for rung in escalation],
    yerr=[2 * rung.error for rung in escalation],
    fmt="o-", capsize=3, label="gain of the challengers, two errors",
)  # fmt: skip
right.axhline(truth[-1], color="k", ls="--", label="KL, true")
right.axhline(certificate.kl.lower, color="C2", label="KL is at least this (95 %)")
right.set(xlabel="CPU seconds of the challengers", ylabel="nats", title="known from below")
right.set_ylim(0, None)
right.legend(loc="lower right")
figure.set_label(
    "Left: four bounds by step on a logarithmic scale; after three steps those of Q, log-Sobolev "
    "and S' lie below the true divergence and are crossed out. Right: the gain of challengers by "
    "CPU seconds, a little below the true divergence; the proven lower side is further below."
)
plt.show()

# %%
# What the certificate says of each:

for bound in certificate.kl.refuted:
    print(f"{bound.name:12} said {bound.value:.4f}: refuted by {bound.by.by.partition(' (')[0]}")
