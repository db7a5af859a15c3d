import sys
from pathlib import Path

# --import-mode=importlib leaves sys.path alone, and the tests here import what they check.
sys.path.insert(0, str(Path(__file__).parent))
