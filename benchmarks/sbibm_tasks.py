"""``wopt.sample`` without options against the reference draws of sbibm (Lueckmann et al. 2021).

    pip install --no-deps sbibm==1.1.0
    python benchmarks/sbibm_tasks.py [--budget 30] [--observations 1 2] [--out FILE] [TASK ...]
    python benchmarks/sbibm_tasks.py --table [--out FILE]

Six tasks whose posterior density is known are written here in torch; of the package only its
files are read: observations and 10,000 reference draws each. C2ST is sbibm's: the accuracy of a
classifier of two layers between draws of wopt, drawn again by their weights, and as many
reference draws (``--draws``), by five folds; 0.5 where they cannot be told apart. See
docs/posteriors.md.
"""

import argparse
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

import wopt

TOLD = 0.55
"""C2ST above which draws count as wrong in the table's last column."""


def files(task):
    found = importlib.util.find_spec("sbibm")
    if found is None:
        raise SystemExit("sbibm is not installed: pip install --no-deps sbibm==1.1.0")
    return Path(found.origin).parent / "tasks" / task / "files"


def column_file(path):
    return torch.from_numpy(np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2))


def box(dim, end):
    return dim, {str(k): [-end, end] for k in range(dim)}


def two_moons(x, _):
    def log_prob(theta):
        first, second = theta[:, 0], theta[:, 1]
        u = x[0, 0] + (first + second).abs() / math.sqrt(2) - 0.25
        v = x[0, 1] + (first - second) / math.sqrt(2)
        arc = -(((torch.hypot(u, v) - 0.1) / 0.01) ** 2) / 2
        return torch.where(u < 0, -math.inf, arc)

    return log_prob, *box(2, 1.0)


def gaussian_mixture(x, _):
    def log_prob(theta):
        squares = (x - theta).square().sum(1)
        wide, narrow = -squares / 2, -squares / 0.02 - 2 * math.log(0.1)
        return torch.logaddexp(wide, narrow)

    return log_prob, *box(2, 10.0)


def gaussian_linear(x, _):
    return lambda theta: -(theta.square() + (x - theta).square()).sum(1) / 0.2, 10, {}


def gaussian_linear_uniform(x, _):
    return lambda theta: -(x - theta).square().sum(1) / 0.2, *box(10, 1.0)


def bernoulli_glm(_, folder):
    """Logistic regression on a filter's inputs; the prior penalises second differences."""
    size = 9
    design = torch.load(folder.parent / "design_matrix.pt").double()
    spikes = column_file(folder / "observation_raw.csv")[0]
    step = torch.eye(size).double() - torch.diag(torch.ones(size - 1).double(), -1)
    smooth = step @ step + torch.diag(torch.arange(size).double() / size).sqrt()

    def log_prob(theta):
        psi = theta @ design.T
        prior = 0.5 * theta[:, 0].square() + (theta[:, 1:] @ smooth.T).square().sum(1)
        return psi @ spikes - torch.nn.functional.softplus(psi).sum(1) - prior / 2

    return log_prob, 10, {}


def slcp(x, _):
    """Four points of a Gaussian in the plane whose deviations enter by their squares."""

    def log_prob(theta):
        mean, rho = theta[:, None, :2], theta[:, 4].tanh()
        first, second = theta[:, 2].square(), theta[:, 3].square()
        a, b, c = first.square() + 1e-6, second.square() + 1e-6, rho * first * second
        det = a * b - c * c
        u, v = (x.reshape(1, 4, 2) - mean).unbind(2)
        form = (b[:, None] * u**2 - 2 * c[:, None] * u * v + a[:, None] * v**2) / det[:, None]
        return -form.sum(1) / 2 - 2 * det.log()

    return log_prob, *box(5, 3.0)


TASKS = {
    f.__name__: f
    for f in (
        two_moons,
        gaussian_mixture,
        gaussian_linear,
        gaussian_linear_uniform,
        bernoulli_glm,
        slcp,
    )
}


def c2st(x, y, seed=1):
    """Return the accuracy of sbibm's classifier between draws x and y."""
    mean, spread, width = x.mean(0), x.std(0), 10 * x.shape[1]
    rows = torch.cat([(x - mean) / spread, (y - mean) / spread]).numpy()
    label = np.repeat([0.0, 1.0], [len(x), len(y)])
    net = MLPClassifier((width, width), max_iter=10_000, random_state=seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    return float(np.mean(cross_val_score(net, rows, label, cv=folds)))


def measured(task, number, budget, draws):
    folder = files(task) / f"num_observation_{number}"
    x = column_file(folder / "observation.csv")
    reference = column_file(folder / "reference_posterior_samples.csv.bz2")
    log_prob, dim, support = TASKS[task](x, folder)
    # Where the density is zero around the origin, the search begins at draws of the prior.
    prior = 2 * torch.rand(200, dim, generator=torch.Generator().manual_seed(0)).double() - 1
    start = prior if task == "two_moons" else None
    found = wopt.sample(log_prob, dim, n=draws, support=support, budget=budget, start=start)
    return {
        "task": task,
        "observation": number,
        "seconds": found.cpu_seconds,
        "draws": draws,
        "c2st": c2st(reference[:draws], found.draws),
        "ess": found.report.ess / draws,
        "k_hat": found.k_hat,
        "reliable": found.reliable,
        "how": found.how,
        "warnings": list(found.report.warnings),
    }


def table(lines):
    """Print a row a task: the mean over observations, and verdicts that were wrong."""
    print("| task | d | CPU s | C2ST (largest) | ESS/S | reliable | wrong verdicts |")
    print("|---|---|---|---|---|---|---|")
    for task in TASKS:
        rows = [line for line in lines if line["task"] == task]
        if not rows:
            continue
        score, seconds, ess = (
            np.mean([row[key] for row in rows]) for key in ("c2st", "seconds", "ess")
        )
        most = max(row["c2st"] for row in rows)
        good = sum(row["reliable"] for row in rows)
        missed = sum(row["reliable"] and row["c2st"] > TOLD for row in rows)
        alarms = sum(not row["reliable"] and row["c2st"] <= TOLD for row in rows)
        wrong = f"{missed} missed, {alarms} false alarms" if missed or alarms else "0"
        dim = {"two_moons": 2, "gaussian_mixture": 2, "slcp": 5}.get(task, 10)
        print(
            f"| {task} | {dim} | {seconds:.0f} | {score:.3f} ({most:.3f}) | {ess:.2f} | "
            f"{good} of {len(rows)} | {wrong} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), metavar="TASK")
    parser.add_argument("--budget", type=float, default=30.0)
    parser.add_argument("--observations", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        table([json.loads(line) for line in given.out.read_text().splitlines()])
        return
    torch.set_num_threads(1)
    for task in given.tasks:
        for number in given.observations:
            line = json.dumps(measured(task, number, given.budget, given.draws))
            print(line, flush=True)
            with given.out.open("a") as out:
                out.write(line + "\n")


if __name__ == "__main__":
    main()
