"""``wopt.sample`` without options on real posteriors, against reference draws of posteriordb.

    python benchmarks/posteriors.py [--budget 60] [--seeds 0 1] [NAME ...]

prints a row a posterior: see docs/posteriors.md. Data: ../shared/data, or WOPT_DATA.

    python benchmarks/posteriors.py --laws [--held-out] [--out FILE] [--budget 20] [NAME ...]
    python benchmarks/posteriors.py --table

stores a line a law of known log Z (posterior_laws.py), and prints them as a table.
"""

import argparse
import json
import math
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from posterior_laws import HELD_OUT, LAWS

import wopt

LINES = Path(__file__).with_name("posterior_laws.jsonl")
DATA = Path(os.environ.get("WOPT_DATA", "../shared/data"))
SCHOOLS = [f"theta[{i}]" for i in range(1, 9)]


def unzipped(name):
    with zipfile.ZipFile(DATA / "posteriors" / name) as file:
        return json.loads(file.read(file.namelist()[0]))


def reference(name, columns):
    chains = unzipped(f"ref__{name}.json.zip")
    return torch.tensor(np.stack([np.concatenate([c[k] for c in chains]) for k in columns], 1))


def normal(x, mean, sd):
    return (
        -(((x - mean) / sd) ** 2) / 2 - torch.log(torch.as_tensor(sd)) - math.log(2 * math.pi) / 2
    )


def half_cauchy(x, scale):
    return math.log(2 / (math.pi * scale)) - torch.log1p((x / scale) ** 2)


def schools(*, centred):
    data = unzipped("data__eight_schools.json.zip")
    y, sigma = (torch.tensor(data[k], dtype=torch.float64) for k in ("y", "sigma"))

    def log_prob(x):
        t, mu, tau = x[:, :8], x[:, 8:9], x[:, 9:]
        theta, prior = (t, normal(t, mu, tau)) if centred else (mu + tau * t, normal(t, 0.0, 1.0))
        rest = normal(mu, 0.0, 5.0)[:, 0] + half_cauchy(tau, 5.0)[:, 0]
        return prior.sum(1) + normal(y, theta, sigma).sum(1) + rest

    draws = reference("eight_schools-eight_schools_noncentered", [*SCHOOLS, "mu", "tau"])
    if not centred:
        draws[:, :8] = (draws[:, :8] - draws[:, 8:9]) / draws[:, 9:]
    return log_prob, {9: "positive"}, draws


def kid():
    data = unzipped("data__kidiq.json.zip")
    score, iq = (torch.tensor(data[k], dtype=torch.float64) for k in ("kid_score", "mom_iq"))

    def log_prob(x):
        return normal(score, x[:, :1] + x[:, 1:2] * iq, x[:, 2:]).sum(1) + half_cauchy(x[:, 2], 2.5)

    return (
        log_prob,
        {2: "positive"},
        reference("kidiq-kidscore_momiq", ["beta[1]", "beta[2]", "sigma"]),
    )


def ark():
    data = unzipped("data__arK.json.zip")
    y, k = torch.tensor(data["y"], dtype=torch.float64), data["K"]
    past = torch.stack([y[k - 1 - j : len(y) - 1 - j] for j in range(k)], 1)

    def log_prob(x):
        rows = normal(y[k:], x[:, :1] + x[:, 1:6] @ past.T, x[:, 6:]).sum(1)
        return rows + normal(x[:, :6], 0.0, 10.0).sum(1) + half_cauchy(x[:, 6], 2.5)

    names = ["alpha", *(f"beta[{i}]" for i in range(1, 6)), "sigma"]
    return log_prob, {6: "positive"}, reference("arK-arK", names)


def logistic(name):
    import scipy.io

    data = scipy.io.loadmat(DATA / "logistic" / f"{name}.mat")
    x, y = (torch.tensor(np.asarray(data[k], dtype=float)) for k in ("data", "target"))
    x = (x - x.mean(0)) / x.std(0)
    x = torch.cat([torch.ones(len(x), 1, dtype=torch.float64), x], 1)
    sign = torch.where(y.reshape(-1) > 0, 1.0, -1.0).double()

    def log_prob(w):
        fit = torch.nn.functional.logsigmoid(sign[:, None] * (x @ w.T)).sum(0)
        return fit + normal(w, 0.0, math.sqrt(10.0)).sum(1)

    return log_prob, {}, torch.zeros(0, x.shape[1])


POSTERIORS = {
    "eight schools, centred": lambda: schools(centred=True),
    "eight schools, non-centred": lambda: schools(centred=False),
    "kidscore_momiq": kid,
    "arK": ark,
    "logistic, german": lambda: logistic("german"),
    "logistic, splice": lambda: logistic("splice"),
}


def row(name, budget, seed):
    log_prob, support, draws = POSTERIORS[name]()
    began = time.process_time()
    found = wopt.sample(log_prob, draws.shape[1], support=support, budget=budget, seed=seed)
    spent = time.process_time() - began
    mean = sd = math.nan
    if len(draws):
        mean = float(((found.means - draws.mean(0)) / draws.std(0)).abs().max())
        sd = float((found.sds / draws.std(0) - 1).abs().max())
    fraction = found.report.ess / len(found.draws)
    kl = found.log_z - found.report.elbo
    made = found.how.split(" after")[0]
    print(
        f"| {name} | {draws.shape[1]} | {seed} | {spent:.0f} | {mean:.3f} | {sd:.3f} "
        f"| {found.k_hat:.2f} "
        f"| {fraction:.2f} | {kl:.4f} | {found.log_z:.3f} +- {found.log_z_error:.3f} "
        f"| {'yes' if found.reliable else 'no'} | {made} |",
        flush=True,
    )


def line(name, budget, seed):
    """Return what is stored of a law: how far log Z and moments are off, and what was said."""
    law = LAWS[name]()
    began = time.process_time()
    found = wopt.sample(law.log_prob, law.dim, budget=budget, seed=seed)
    spent = time.process_time() - began
    mean, sd = law.truth()
    x, report = law.of(found.draws), found.report
    m, s = x.mean(0), x.std(0)
    return {
        "law": name,
        "d": law.dim,
        "budget": budget,
        "seed": seed,
        "rules": wopt.__version__,
        "cpu": round(spent, 1),
        "log_z_off": round(found.log_z - law.log_z, 4),
        "log_z_error": round(found.log_z_error, 4),
        "share": round(report.ess / len(x), 3),
        "k_hat": round(found.k_hat, 2),
        "mean_off": round(float(((m - mean) / sd).abs().max()), 3),
        "sd_off": round(float((s / sd - 1).abs().max()), 3),
        "reliable": found.reliable,
        "doubts": [doubt[:60] for doubt in report.warnings],
        "trajectories": found.drawn.trajectories,
        "how": found.how[:120],
    }


def table(rows):
    """Print for each law and rules the worst of its seeds, and how often it was wrong unsaid."""
    print("| law | rules | log Z off, nats | ESS/S | mean off, sd | sd off | reliable | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    for law, rules in dict.fromkeys((r["law"], r["rules"]) for r in rows):
        those = [r for r in rows if (r["law"], r["rules"]) == (law, rules)]
        off = max((r["log_z_off"] for r in those), key=abs)
        fraction = min(r["share"] for r in those)
        mean, sd = (max(r[k] for r in those) for k in ("mean_off", "sd_off"))
        said = [r for r in those if r["reliable"]]
        wrong = sum(is_wrong(r) for r in said)
        print(
            f"| {law} | {rules} | {off:.3f} | {fraction:.2f} | {mean:.2f} | {sd:.2f} "
            f"| {len(said)} of {len(those)} | {wrong} |"
        )


def is_wrong(r):
    """Whether log Z is more than three of its errors and 0.001 off, or a moment 0.2 deviations."""
    off = abs(r["log_z_off"]) > max(3 * r["log_z_error"], 1e-3)
    return off or max(r["mean_off"], r["sd_off"]) > 0.2


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--laws", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--out", type=Path, default=LINES)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        table([json.loads(text) for text in asked.out.read_text().splitlines()])
    laws = asked.names if asked.laws and asked.names else HELD_OUT if asked.held_out else LAWS
    for seed in asked.seeds if asked.laws else ():
        for name in laws:
            with asked.out.open("a") as file:
                file.write(json.dumps(line(name, asked.budget, seed)) + "\n")
    for seed in () if asked.laws or asked.table else asked.seeds:
        for name in asked.names or POSTERIORS:
            row(name, asked.budget, seed)
