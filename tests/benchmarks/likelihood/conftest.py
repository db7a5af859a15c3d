# Nothing here is a test, and these files need zuko and matplotlib.
collect_ignore_glob = ["*.py"]
