import sys
from pathlib import Path

# --import-mode=importlib leaves sys.path alone, and these files share `bench`.
sys.path.insert(0, str(Path(__file__).parent))

# Scripts, whose modules know each other as they do when run.
collect_ignore = ["evidence", "likelihood", "several"]
