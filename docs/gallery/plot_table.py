r"""
A table with categories
=======================

A frame as people have them: an amount that is positive, an age that is whole and bounded, a city
that is a text, a flag. Samples come back as such a frame, and none lies outside its bounds.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import wopt

draw = np.random.default_rng(0)
n = 3000
city = draw.choice(["Bonn", "Lima", "Rome"], n, p=[0.5, 0.2, 0.3])
age = np.clip(draw.gamma(6, 6, n) + 12 + 10 * (city == "Rome"), 18, 95).astype(int)
income = np.exp(9.5 + 0.02 * (age - 18) - 0.9 * (city == "Lima") + 0.4 * draw.normal(size=n))
owns = draw.random(n) < 1 / (1 + np.exp(-(np.log(income) - 10) * 3))
people = pd.DataFrame({"age": age, "income": income, "city": city, "owns": owns})

solution = wopt.fit(
    people,
    support={"age": (18, 120), "income": "positive"},
    scheme={"name": "jko", "step_size": 100.0},
    block={"name": "autoregressive", "hidden": [64, 64]},
    solver={"iterations": 500, "batch_size": 250},
    stop={"steps": 1},
)
new = solution.sample(3000, generator=torch.Generator().manual_seed(0))
print(new.head())
print(new.dtypes.equals(people.dtypes), new["age"].min() >= 18, new["income"].min() > 0)

# %%
# Every column alone, and what binds them: income by city, and who owns a home by income.

figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
both = {"data": people, "samples": new}
for k, (name, frame) in enumerate(both.items()):
    axes[0].hist(frame["age"], bins=range(18, 96, 3), density=True, alpha=0.55, label=name)
    shares = frame["city"].value_counts(normalize=True).sort_index()
    axes[1].bar(np.arange(3) + 0.38 * k - 0.19, shares, width=0.36, label=name)
    axes[1].set_xticks(range(3), shares.index)
    axes[2].boxplot(
        [np.log10(frame["income"][frame["city"] == c]) for c in shares.index],
        positions=np.arange(3) + 0.38 * k - 0.19, widths=0.3, showfliers=False,
        patch_artist=True, boxprops={"facecolor": f"C{k}"}, medianprops={"color": "white"},
    )  # fmt: skip
    axes[2].set_xticks(range(3), shares.index)
    steps = np.quantile(people["income"], np.linspace(0, 1, 11))
    group = np.digitize(frame["income"], steps[1:-1])
    axes[3].plot(range(10), [frame["owns"][group == g].mean() for g in range(10)], "o-", label=name)
axes[0].set(xlabel="age", ylabel="density", title="an integer, bounded")
axes[1].set(xlabel="city", ylabel="share", title="a category")
axes[2].set(xlabel="city", ylabel="log10 of income", title="a number given a category")
axes[3].set(xlabel="decile of income", ylabel="share that owns", title="a flag given a number")
for axis in axes[[0, 1, 3]]:
    axis.legend()
figure.set_label(
    "Four panels compare data and samples: histograms of age, shares of three cities, boxes of "
    "income by city, and the share of owners by decile of income. They nearly agree."
)
plt.show()

# %%
# The likelihood of a row is in its own units: that of cells of integers and categories, a lower
# bound of their probability.

print(solution.flow.log_prob(people[:3]))
