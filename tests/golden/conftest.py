import sys
from pathlib import Path

# --import-mode=importlib leaves sys.path alone, and the tests here import what they check.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "stranger")]
