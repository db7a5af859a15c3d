"""The package as a module."""

import subprocess
import sys

import pytest

import wopt


def test_python_m_wopt_is_the_command():
    answer = subprocess.run(
        [sys.executable, "-m", "wopt", "--version"], capture_output=True, text=True, check=True
    )
    assert wopt.__version__ in answer.stdout


def test_the_old_name_of_capabilities_still_works():
    with pytest.warns(DeprecationWarning, match="Capability"):
        assert wopt.Need is wopt.Capability
