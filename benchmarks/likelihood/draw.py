"""Draw the curves of ``results.json``: test NLL against CPU seconds.

python benchmarks/likelihood/draw.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "docs" / "images"

STYLES = {
    "wopt": {"color": "#b5371f", "marker": "o", "markersize": 7, "linewidth": 2.2, "zorder": 5},
    "wopt, long": {
        "color": "#e08a3c",
        "marker": "D",
        "markersize": 5,
        "linewidth": 1.5,
        "zorder": 4,
    },
    "NSF": {"color": "#1f5f8b", "marker": "s", "markersize": 3.5},
    "MAF": {"color": "#5b8c4a", "marker": "^", "markersize": 3.5},
    "CNF": {"color": "#7a6a9b", "marker": "v", "markersize": 3.5},
}
TITLES = {
    "rose": "rose, d = 2",
    "magic": "MAGIC, d = 10",
    "patches": "natural patches, d = 63",
    "miniboone": "MiniBooNE head, d = 43",
}


def draw(rows: list[dict[str, Any]], name: str, axes: Any) -> None:
    """Draw one data set."""
    mine = [row for row in rows if row["data"] == name]
    # What took far longer would squeeze the rest.
    mine = [row for row in mine if row["seconds"] < 2.5 * mine[0]["seconds"]]
    # Early points and the worst method, far above, would squeeze what matters.
    ends = sorted(row["nll"] for row in mine)
    floor_ = [row["entropy"] for row in mine if row.get("entropy") is not None]
    low, high = min(ends + floor_), ends[-2]
    top = high + 0.25 * (high - low)
    above = [row for row in mine if row["nll"] > top]
    for row in mine:
        if row not in above:
            method = row["method"]
            axes.plot(*zip(*row["curve"], strict=True), label=method, **STYLES.get(method, {}))
    axes.set_ylim(low - 0.06 * (high - low), top)
    axes.set_xlim(left=0)
    summary = "  ".join(f"{row['method']} {row['nll']:.1f}" for row in above)
    axes.annotate(f"above: {summary}" if above else "", (0.98, 0.97), xycoords="axes fraction",
                  ha="right", va="top", fontsize=8, color="0.4")  # fmt: skip
    floor = next((row["entropy"] for row in mine if row.get("entropy") is not None), None)
    if floor is not None:
        axes.axhline(floor, color="0.6", linewidth=1, linestyle=":")
        axes.annotate("entropy", (0.98, floor), xycoords=("axes fraction", "data"),
                      ha="right", va="bottom", fontsize=8, color="0.4")  # fmt: skip
    axes.set_title(TITLES.get(name, name), fontsize=10)
    axes.set_xlabel("CPU seconds, one thread")
    axes.grid(alpha=0.25)


def main() -> None:
    """Write ``likelihood_curves.svg``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--out", type=Path, default=IMAGES / "likelihood_curves.svg")
    asked = parser.parse_args()
    rows = json.loads(asked.results.read_text())["rows"]
    names = list(dict.fromkeys(row["data"] for row in rows))
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "wopt", "svg.fonttype": "none"})
    figure, grid = plt.subplots(1, len(names), figsize=(3.1 * len(names), 3.2), squeeze=False)
    for axes, name in zip(grid[0], names, strict=True):
        draw(rows, name, axes)
    grid[0][0].set_ylabel("test NLL, nats")
    found = {}
    for axes in grid[0]:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=len(found), frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(asked.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
