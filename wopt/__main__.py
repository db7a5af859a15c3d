"""Entry point of ``python -m wopt``."""

from wopt.cli.main import main

if __name__ == "__main__":
    main()
