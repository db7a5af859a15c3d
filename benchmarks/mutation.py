"""How many mistakes the tests find: single operators of guard, limits, bounds and measures changed.

    python benchmarks/mutation.py --each 8

Each mutant changes one comparison, arithmetic operator, ``and``/``or`` or ``min``/``max`` in one
function; a mutant is killed if the tests named beside it fail. Files are changed in place and put
back, so run it in a worktree of its own. Places are given for trees before and after the plugins
left the core, and functions by name, so that two trees are compared on the same mutants.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CERTIFY = ("plugins/wopt-certify/src/wopt_certify", "wopt/certify")
TESTS = ("plugins/wopt-certify/tests", "tests/certify")
SWAPS = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}


@dataclasses.dataclass(frozen=True)
class Target:
    """Functions that are mutated, in the first file that exists, and tests that should see it."""

    name: str
    files: tuple[str, ...]
    functions: tuple[str, ...]
    tests: tuple[tuple[str, ...], ...]


def _certify(file: str, old: str | None = None) -> tuple[str, ...]:
    return f"{CERTIFY[0]}/{file}", f"{CERTIFY[1]}/{old or file}"


def _tests(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(f"{place}/{name}" for place in TESTS) for name in names)


TARGETS = (
    Target("guard", ("wopt/train/guard.py",), ("judge", "_inaccurate", "rises", "nll"),
           (("tests/test_guard.py",),)),
    Target("limits", _certify("challenge/judge.py", "challenge/limit.py"),
           ("on", "lower_limit", "_log_capital"), _tests("test_challenge.py")),
    Target("bounds", _certify("bounds/steps.py"),
           ("theorem_s", "theorem_s_gap", "theorem_p", "a_priori", "_steps"),
           _tests("test_bounds_chain.py", "test_bounds_equality.py", "test_bounds_violation.py")),
    Target("measure", _certify("measure.py"), ("second_moment", "base_of", "_best", "_residuals"),
           _tests("test_certificate.py", "test_critic.py")),
)  # fmt: skip


def mutants(source: str, functions: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield what is changed, in words, and the whole text with that one change."""
    count = sum(1 for _ in _places(ast.parse(source), functions))
    for k in range(count):
        tree = ast.parse(source)
        function, node = list(_places(tree, functions))[k]
        was = ast.unparse(node)
        _change(node)
        yield f"{function}: {was} -> {ast.unparse(node)}", ast.unparse(tree)


def _places(tree: ast.Module, functions: tuple[str, ...]) -> Iterator[tuple[str, ast.expr]]:
    for of in ast.walk(tree):
        if isinstance(of, ast.FunctionDef) and of.name in functions:
            for node in ast.walk(ast.Module(of.body, [])):
                if isinstance(node, ast.Compare | ast.BinOp | ast.BoolOp | ast.Call) and _swap(
                    node
                ):
                    yield of.name, node


def _swap(node: ast.expr) -> object:
    """Return what takes the place of an operator, or of a function's name."""
    if isinstance(node, ast.Compare):
        return SWAPS.get(type(node.ops[0]))
    if isinstance(node, ast.BinOp | ast.BoolOp):
        return SWAPS.get(type(node.op))
    named = node.func if isinstance(node, ast.Call) else None
    return NAMES.get(getattr(named, "id", getattr(named, "attr", "")))


def _change(node: ast.expr) -> None:
    new = _swap(node)
    if isinstance(node, ast.Compare):
        node.ops[0] = new()  # type: ignore[operator]
    elif isinstance(node, ast.BinOp | ast.BoolOp):
        node.op = new()  # type: ignore[operator]
    elif isinstance(node, ast.Call):
        setattr(node.func, "id" if isinstance(node.func, ast.Name) else "attr", new)


def _killed(tests: list[str]) -> bool:
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(words, capture_output=True, check=False, env={**os.environ})
    return done.returncode != 0


def main() -> None:
    """Run the mutants and print the share that is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=8, help="mutants of each target")
    each, total, all_killed = parser.parse_args().each, 0, 0
    for target in TARGETS:
        path = next(Path(file) for file in target.files if Path(file).exists())
        tests = [next(t for t in places if Path(t).exists()) for places in target.tests]
        source = path.read_text(encoding="utf-8")
        found = list(mutants(source, target.functions))
        chosen, killed = found[:: max(1, len(found) // each)][:each], 0
        for words, text in chosen:
            path.write_text(text, encoding="utf-8")
            try:
                dead = _killed(tests)
            finally:
                path.write_text(source, encoding="utf-8")
            killed += dead
            if not dead:
                print(f"  survives: {target.name}, {words}", flush=True)
        print(f"{target.name}: {killed} of {len(chosen)} killed", flush=True)
        total, all_killed = total + len(chosen), all_killed + killed
    print(f"{all_killed} of {total} killed")


if __name__ == "__main__":
    main()
