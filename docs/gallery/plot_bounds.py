r"""
What a first-order error allows
===============================

Theorem P (section 1.6 of the mathematics) bounds the gap after each step from the gap at the start,
the step sizes and the first-order errors. The bound falls geometrically and then stays at the floor
:math:`\varepsilon^2/2\lambda`: each factor of ten in the error costs the same number of further
steps.
"""

import matplotlib.pyplot as plt
import numpy as np

from wopt_certify.bounds import steps_needed, theorem_p

steps = np.arange(1, 31)
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for error in (0.3, 0.1, 0.03, 0.01):
    bound = theorem_p(14.0, [0.5] * 30, error, lam=1.0)
    line = axis.semilogy(steps, bound, label=f"eps = {error}")[0]
    axis.axhline(error**2 / 2, color=line.get_color(), lw=0.7, ls=":")
axis.set(xlabel="step, h = 0.5", ylabel="bound of KL, nats")
axis.legend()
figure.set_label(
    "Four curves of the bound by step on a logarithmic scale. Each falls in a straight line and "
    "then stays at its own floor, the lower the smaller the error."
)
plt.show()

# %%
# How many steps certify a given divergence? None, if the error is too large:

for error in (0.3, 0.1, 0.03):
    print(error, "->", steps_needed(0.01, 0.5, error, lam=1.0, kl0=14.0))
