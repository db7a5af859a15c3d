"""One configuration, many schemes: only ``scheme.name`` changes.

    python examples/compare_schemes.py examples/magic.toml runs/schemes-magic
    python examples/compare_schemes.py examples/rose.toml runs/schemes-rose \\
        scheme.step_size=0.25 source.n_train=20000

trains the configuration's data, objective and block with every scheme of a list, a few cheap steps
of one size each, and writes a page that shows energy, likelihood and residual by step and second.
What such runs taught is told in docs/schemes.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wopt.config.model import validate
from wopt.config.read import override, read_toml
from wopt.errors import WoptError
from wopt.runs.execute import run_config
from wopt_certify.compare.page import compare, rows

SCHEMES = (
    "jko",
    "accelerated",
    "bdf2",
    "crank_nicolson",
    "forward_backward",
    "sdirk2",
    "explicit",
    "local_flow_matching",
)
SETTINGS = (
    "scheme.step_size=0.1",
    "stop.steps=12",
    "block.width=96",
    "solver.iterations=100",
    "solver.ema=0.9",
    "guard.retries=1",
)


def main(config: Path, out: Path, settings: list[str]) -> None:
    """Run every scheme and write ``out/compare.html``."""
    directories = []
    for name in SCHEMES:
        # Only the name differs from run to run.
        table = override(read_toml(config), [*SETTINGS, *settings, f"scheme.name={name}"])
        try:
            result = run_config(validate(table, str(config)), out / name)
        except WoptError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {result.status} after {result.steps} steps, {result.reason}")
        directories.append(out / name)
    print(compare(rows(directories), out / "compare.html"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
