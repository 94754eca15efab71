"""Does this machine have what cmpc needs?

Machine (facts, looked up on demand) --> checks --> Finding(status, found, advice)
"""

from cmpc.doctor.checks import examine
from cmpc.doctor.finding import Finding
from cmpc.doctor.machine import Machine

__all__ = ["Finding", "Machine", "examine"]
