"""The reference of the command line says what the commands say."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "cli_reference.py"


def test_the_page_of_the_command_line_is_up_to_date():
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
