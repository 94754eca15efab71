"""Modules that tests of several folders share are found here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
