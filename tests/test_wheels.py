"""Wheels of the core, its plugins and a new plugin of each kind, in a fresh environment."""

import os
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import wopt
from wopt.registry import KINDS

ROOT = Path(wopt.__file__).parent.parent
NEEDED = (
    "wopt-jko", "wopt-blocks", "wopt-measures", "wopt-testing", "wopt-report", "wopt-evolution",
)  # fmt: skip
BASE = """
[source]
name = "gaussian"
n_train = 200
n_valid = 200
n_test = 50
[objective]
name = "kl"
[objective.target]
name = "gaussian"
[scheme]
name = "jko"
[block]
name = "affine"
[solver]
iterations = 5
[stop]
steps = 1
"""
PLACE = {
    "objective": "objective",
    "scheme": "scheme.name",
    "block": "block.name",
    "target": "objective.target.name",
    "source": "source",
    "step_size": "scheme.step_size.name",
    "exact": "exact.name",
    "tracker": "tracker.name",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "plugins").is_dir(), reason="needs the repository"),
]


def call(*words, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "WOPT"))}
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wheel(source, out, cwd):
    pytest.importorskip("hatchling")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    call(*pip, "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source, cwd=cwd)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return an environment with nothing but wheels; what these need is seen, not installed."""
    folder = tmp_path_factory.mktemp("fresh")
    call(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    mine = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # A plain line adds a place to look in, without the editable installs of that place.
    shared = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    lines = "\n".join(dict.fromkeys(shared)) + "\n"
    (Path(mine.strip()) / "shared.pth").write_text(lines)
    for source in (ROOT, *(ROOT / "plugins" / name for name in NEEDED)):
        wheel(source, folder / "wheels", folder)
    install(python, folder, sorted((folder / "wheels").glob("*.whl")))
    return folder, python


def install(python, folder, wheels):
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    quiet = ("install", "--quiet", "--no-deps", "--no-index", "--ignore-installed")
    call(*pip, *quiet, *wheels, cwd=folder)


def test_new_plugins_of_every_kind(fresh):
    folder, python = fresh
    tool = (python, "-m", "wopt")
    where = call(python, "-c", "import wopt; print(wopt.__file__)", cwd=folder)
    assert where.startswith(str(folder)), where
    for kind in KINDS:
        call(*tool, "new-plugin", f"fresh_{kind}", "--kind", kind, "--out", kind, cwd=folder)
        wheel(folder / kind, folder / "new", folder)
    made = sorted((folder / "new").glob("*.whl"))
    assert len(made) == len(KINDS)
    install(python, folder, made)
    (folder / "base.toml").write_text(BASE)
    listing = call(*tool, "plugins", cwd=folder)
    for kind in KINDS:
        assert f"fresh_{kind}" in listing
        call(*tool, "check", f"fresh_{kind}", cwd=folder)
    for kind in PLACE:
        name = f"fresh_{kind}"
        setting = f"{PLACE[kind]}={name}"
        call(*tool, "run", "base.toml", "--set", setting, "--out", f"runs/{kind}", cwd=folder)
        assert f'name = "{name}"' in (folder / f"runs/{kind}/config.toml").read_text()
