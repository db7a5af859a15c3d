"""Functions of Python files named in configurations; they run only if a person allowed it."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wopt import ConfigError
from wopt.data import existing_file
from wopt.permission import check_code
from wopt.registry import close_matches


def absolute_address(text: str) -> str:
    """Return ``FILE.py:FUNCTION`` with an absolute path, the same from any working folder.

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
    modules, so it can import installed packages only, and no other code beside the hashed file.

    Args:
        address: An address as :func:`absolute_address` returns it.
        recorded: The hash in the configuration, if any.
    """
    file, _, name = address.rpartition(":")
    content = existing_file(file).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    check_code(file, sha256, recorded)
    module = types.ModuleType(f"wopt_code_{sha256[:16]}")
    module.__file__ = file
    try:
        exec(compile(content, file, "exec"), module.__dict__)
    except Exception as error:  # the author's code may raise anything
        raise ConfigError(f"{file} failed when run: {type(error).__name__}: {error}") from error
    function = module.__dict__.get(name)
    if not callable(function):
        own = [k for k, v in vars(module).items() if isinstance(v, types.FunctionType)]
        known = ", ".join(own) or "none"
        raise ConfigError(
            f"{file} has no function {name!r}; its functions: {known}{close_matches(name, own)}"
        )
    return function, sha256
