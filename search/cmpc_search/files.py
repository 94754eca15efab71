"""Files: written so that nobody ever reads half of one, and known by a name that anybody may type.

The writer itself is that of all of cmpc.
"""

import errno
from pathlib import Path

from cmpc_cost_models.files import replacing

__all__ = ["is_file", "replacing"]


def is_file(path: Path) -> bool:
    """Whether a path is that of a file; one too long to be any is not, such as a description.

    Raises:
        OSError: nobody may look there.
    """
    try:
        return path.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise
