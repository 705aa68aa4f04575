"""Jobs that take no time are those of the tests of sweeps."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeps"))
