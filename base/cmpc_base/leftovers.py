"""Remove what killed processes left behind: files and folders that nobody will ever rename.

`cmpc_base.files` puts the process into the name of each. It goes when that process is no more, or
began after it was last written and is thus another one of the same number. Folders may be shared
between machines, whose processes nobody here can see: what was written to a moment ago stays in any
case. The library safetensors names no process: what it left goes after a day.
"""

import os
import re
import shutil
import time
from pathlib import Path

__all__ = ["sweep"]

TEMPORARY = re.compile(r"\..+\.(\d{1,10})(-[0-9a-f]{8})?\.tmp")
OF_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
QUIET_S = 600.0
QUIET_UNNAMED_S = 86_400.0
CLOCK_SLACK_S = 2.0  # the time of booting is told in whole seconds


def sweep(*folders: Path) -> list[Path]:
    """Remove what is temporary in ``folders``, not below them, and return what is gone.

    What the system refuses to remove stays: it is in nobody's way.
    """
    found = [path for folder in folders if folder.is_dir() for path in folder.glob(".*tmp*")]
    return [path for path in found if _is_left_over(path) and _is_removed(path)]


def _is_removed(path: Path) -> bool:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _is_left_over(path: Path) -> bool:
    match = TEMPORARY.fullmatch(path.name)
    try:
        written_at = max(one.stat().st_mtime for one in (path, *path.rglob("*")))
    except OSError:
        return False  # its process has just renamed it, or it is not ours to look at
    quiet_s = time.time() - written_at
    if match is None:
        is_of_safetensors = OF_SAFETENSORS.fullmatch(path.name) is not None
        return is_of_safetensors and quiet_s > QUIET_UNNAMED_S
    if quiet_s < QUIET_S:
        return False
    started_at = _start_of(int(match[1]))
    return started_at is None or written_at < started_at - CLOCK_SLACK_S


def _start_of(process: int) -> float | None:
    """Return when a process began, in seconds since the epoch; None if there is none.

    Where the system doesn't tell, a process that runs began long ago.
    """
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass  # it is another user's
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    ticks_since_boot = int(fields[19])
    return 0.0 if boot is None else int(boot[1]) + ticks_since_boot / os.sysconf("SC_CLK_TCK")
