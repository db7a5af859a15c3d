"""The house: who imports whom, public names, small files, documented components."""

import ast
import importlib
import re
import statistics
import tomllib
from pathlib import Path

import pytest

import wopt
from wopt.component import options_model

ROOT = Path(wopt.__file__).parent.parent
PLUGINS = sorted(p.name for p in ROOT.glob("plugins/*/src/*") if (p / "__init__.py").exists())
SOURCES = [*(ROOT / "wopt").rglob("*.py"), *ROOT.glob("plugins/*/src/**/*.py")]

pytestmark = pytest.mark.skipif(
    not (ROOT / "plugins").is_dir(), reason="wopt is not installed from its repository"
)


def imports(path):
    """Return the top packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def declared(name):
    """Return the plugins that a plugin's pyproject.toml depends on, and itself."""
    path = ROOT / "plugins" / name.replace("_", "-") / "pyproject.toml"
    needed = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {name} | {re.split(r"[^\w-]", one)[0].replace("-", "_") for one in needed}


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_import_what_they_declare(name):
    for path in ROOT.glob(f"plugins/*/src/{name}/**/*.py"):
        assert imports(path) & set(PLUGINS) <= declared(name), path


def test_the_core_names_no_concrete_component_as_code():
    """Defaults of the configuration are names, which the registry resolves; nothing else is."""
    for path in (ROOT / "wopt").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in PLUGINS if f"{name}." in text], path


@pytest.mark.parametrize("name", wopt.__all__)
def test_every_public_name_resolves(name):
    assert getattr(wopt, name) is not None
    assert name in dir(wopt)


def test_every_package_has_the_names_that_it_lists():
    for path in SOURCES:
        if path.name == "__init__.py":
            parts = path.parent.relative_to(ROOT).parts
            package = importlib.import_module(
                ".".join(parts[3:] if parts[0] == "plugins" else parts)
            )
            for name in getattr(package, "__all__", []):
                assert getattr(package, name) is not None, f"{package.__name__}.{name}"


def test_public_names_are_sorted_and_unique():
    assert len(set(wopt.__all__)) == len(wopt.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = wopt.Nonsense


def code_lines(nodes):
    """Return how many lines of statements have code in them: no docstrings, comments, blanks."""
    lines = set()
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
                continue
            if isinstance(part, ast.stmt | ast.expr | ast.arg) and not isinstance(
                part, ast.Constant
            ):
                lines |= {part.lineno, part.end_lineno}
            elif isinstance(part, ast.Constant) and not isinstance(part.value, str):
                lines.add(part.lineno)
    return len(lines)


def test_files_stay_small():
    counts = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert len(counts) > 50
    assert statistics.median(counts.values()) <= 120
    assert not {str(p.relative_to(ROOT)): n for p, n in counts.items() if n > 400}


def test_functions_and_classes_stay_small():
    """Of functions the signature counts too, decorators do not."""
    large = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                count, most = code_lines([*node.args.args, *node.args.kwonlyargs, *node.body]), 40
            elif isinstance(node, ast.ClassDef):
                count, most = code_lines(node.body), 200
            else:
                continue
            if count > most:
                large[f"{path.relative_to(ROOT)}:{node.name}"] = count
    assert not large


@pytest.mark.parametrize("name", ["Guard", "Stop"])
def test_every_table_of_a_run_is_described(name):
    cls = getattr(wopt, name)
    assert "Example:" in cls.__doc__
    assert all(field.description for field in options_model(cls).model_fields.values())
