"""Jobs that take no time are started from this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
