"""Entry point of ``python -m wopt``."""

from wopt.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
