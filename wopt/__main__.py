"""``python -m wopt``."""

from wopt.cli.main import main

main()
