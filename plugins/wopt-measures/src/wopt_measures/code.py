"""Functions of a Python file that a configuration names, run only if a person allowed it."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wopt import ConfigError
from wopt.data.tables import existing_file
from wopt.permission import check_code
from wopt.registry import close_matches

__all__ = ["absolute_address", "load_function"]


def absolute_address(text: str) -> str:
    """Return ``FILE.py:FUNCTION`` with an absolute path, so that it means the same from anywhere.

    Raises:
        ValueError: It is not of that form.

    Example:
        >>> absolute_address("/models/banana.py:log_prob")
        '/models/banana.py:log_prob'
    """
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ValueError(f"write FILE.py:FUNCTION, as in my_model.py:log_prob, got {text!r}")
    return f"{Path(file).expanduser().absolute()}:{name}"


def load_function(address: str, recorded: str | None) -> tuple[Callable[..., Any], str]:
    """Return a function of a file and the SHA-256 of the file.

    The bytes that are hashed are those that are run. The file's folder is not searched for
    modules, so it can import what is installed and nothing that the hash would not cover.

    Args:
        address: As :func:`absolute_address` returns it.
        recorded: The hash that the configuration holds, if any.

    Raises:
        ConfigError: It is not allowed (:func:`wopt.allow_code`), the file has changed since, it
            fails when run, or it has no such function.
        DataError: There is no such file.
    """
    file, _, name = address.rpartition(":")
    content = existing_file(file).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    check_code(file, sha256, recorded)
    module = types.ModuleType(f"wopt_code_{sha256[:16]}")
    module.__file__ = file
    try:
        exec(compile(content, file, "exec"), module.__dict__)
    except Exception as error:  # whatever the author's code does
        raise ConfigError(f"{file} failed when run: {type(error).__name__}: {error}") from error
    function = module.__dict__.get(name)
    if not callable(function):
        own = [k for k, v in vars(module).items() if isinstance(v, types.FunctionType)]
        known = ", ".join(own) or "none"
        raise ConfigError(
            f"{file} has no function {name!r}; its functions: {known}{close_matches(name, own)}"
        )
    return function, sha256
