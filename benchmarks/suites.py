"""The test suites of zuko and normflows, run on wopt's maps in place of their own.

    pip download --no-binary :all: --no-deps normflows==1.7.3   # its tests are in it
    git clone https://github.com/probabilists/zuko              # and zuko's here
    python benchmarks/suites.py --zuko zuko/tests/test_flows.py --normflows normflows-1.7.3

Every block of ``tests/block_tables.py`` is fitted to three columns given five conditions for one
step (normflows: also without). zuko's ``test_flows`` gets ``flow.to_zuko()``: densities, draws,
gradients of each parameter, the inverse, files. normflows' ``checkForwardInverse`` gets the flow,
which has the call of its flows, and ``checkForwardLogProb`` its draws. Prints a line a block, as
stored in suites.jsonl: what failed, or nothing. docs/benchmarks.md has the count.
"""

import importlib.util
import sys
import tempfile
import traceback
from pathlib import Path

import torch
from lines import parser_of, store

import wopt

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from block_tables import BLOCKS

SCORED = [name for name in BLOCKS if name != "particles"]


def module(path):
    spec = importlib.util.spec_from_file_location(f"theirs_{path.stem}", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def fitted(name, dim, condition):
    """Return a flow of ``dim`` columns given ``condition`` others, away from the identity."""
    rng = torch.Generator().manual_seed(0)
    rows = torch.randn(400, dim + condition, generator=rng).double()
    x = rows[:, :dim].exp() + rows.sum(1, keepdim=True) / 3
    return wopt.fit(
        x,
        conditions=rows[:, dim:] if condition else None,
        block=BLOCKS[name],
        solver={"iterations": 30, "batch_size": 100},
        stop={"steps": 1},
        guard={"retries": 0, "keep": True},
        certify={"enabled": False},
        dtype="float64",
    ).flow.double()


def zuko(path, name):
    """Run zuko's test of a flow of three features and a context of five."""
    with tempfile.TemporaryDirectory() as folder:
        made = lambda features, context: fitted(name, features, context).to_zuko().requires_grad_()  # noqa: E731
        module(path).test_flows(Path(folder), made)


class Law:
    """A flow with the call of a law of normflows: draws and their log-density."""

    def __init__(self, flow):
        self.flow, self.log_prob = flow, flow.log_prob

    def __call__(self, n):
        return self.flow.sample_and_log_prob(n)


def normflows(path, name):
    """Run normflows' checks of a flow, with and without context, and of a law."""
    checks = module(path / "normflows" / "flows" / "flow_test.py").FlowTest()
    laws = module(path / "normflows" / "distributions" / "distribution_test.py").DistributionTest()
    x, c = torch.randn(256, 3).double(), torch.randn(256, 5).double()
    flow = fitted(name, 3, 0)
    checks.checkForwardInverse(fitted(name, 3, 5), x, c, atol=1e-7, rtol=1e-7)
    checks.checkForwardInverse(flow, x, atol=1e-7, rtol=1e-7)
    laws.checkForwardLogProb(Law(flow), 256, atol=1e-7, rtol=1e-7)


def result(suite, check, path, name):
    torch.manual_seed(0)
    try:
        check(path, name)
    except Exception as error:  # of any kind: it is what the suite says
        at = traceback.extract_tb(error.__traceback__)[-1]
        return {"suite": suite, "block": name, "failed": f"{type(error).__name__} {at.line}"[:120]}
    return {"suite": suite, "block": name, "failed": None}


def main():
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--zuko", type=Path, metavar="FILE", help="its tests/test_flows.py")
    parser.add_argument("--normflows", type=Path, metavar="FOLDER", help="its source")
    parser.add_argument("blocks", nargs="*", default=SCORED, metavar="BLOCK")
    given = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for suite, check, path in (
        ("zuko", zuko, given.zuko),
        ("normflows", normflows, given.normflows),
    ):
        if path:
            store(given.out, (result(suite, check, path, name) for name in given.blocks))


if __name__ == "__main__":
    main()
