import sys
from pathlib import Path

# --import-mode=importlib leaves sys.path alone, and these tests share `pretended`.
sys.path.insert(0, str(Path(__file__).parent))
