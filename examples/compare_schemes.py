"""One configuration, many schemes: only ``scheme.name`` changes.

    python examples/compare_schemes.py examples/magic.toml runs/schemes-magic
    python examples/compare_schemes.py examples/rose.toml runs/schemes-rose

trains the configuration's data, objective and block with every scheme of a list, a few cheap steps
of one size each, and writes a page that shows energy, likelihood and residual by step and by second.
What the author's runs of it taught is told in docs/schemes.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wopt.config.model import validate
from wopt.config.read import override, read_toml
from wopt.errors import WoptError
from wopt.report.compare import compare, rows
from wopt.run.execute import run

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
    "block.width=96",
    "solver.iterations=100",
    "solver.ema=0.9",
    "guard.retries=1",
)


def main(config: Path, out: Path, step_size: float = 0.1, steps: int = 12) -> None:
    """Run every scheme and write ``out/compare.html``."""
    found = []
    for name in SCHEMES:
        settings = [*SETTINGS, f"stop.steps={steps}", f"scheme.step_size={step_size}"]
        # Only this differs from run to run.
        settings.append(f"scheme.name={name}")
        chosen = validate(override(read_toml(config), settings), str(config))
        try:
            result = run(chosen, out / name)
        except WoptError as error:
            print(f"{name}: {error}")
            continue
        print(f"{name}: {result['status']} after {result['steps']} steps, {result['reason']}")
        found.append(out / name)
    print(compare(rows(found), out / "compare.html"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))
