"""Are the libraries there, in versions that fit?

The versions asked for are those of the installed package's own metadata, so that pyproject.toml
stays the one place which names them.
"""

import re
from collections.abc import Callable

from cmpc.doctor.finding import Finding

__all__ = ["check_libraries"]

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?P<relation>==|>=)(?P<version>[^;\s]+)(?:\s*;\s*extra == '(?P<extra>\w+)')?"
)
SUMMARY_EXTRAS = {"all", "dev"}  # what they bring, another extra brings too, or a user never needs


def check_libraries(
    requirements: tuple[str, ...], version_of: Callable[[str], str | None]
) -> list[Finding]:
    """Each library of cmpc's own metadata must be there, in a version that fits."""
    wanted: dict[str, re.Match[str]] = {}
    for requirement in requirements:
        match = REQUIREMENT.fullmatch(requirement)
        if match and match["extra"] not in SUMMARY_EXTRAS:
            wanted.setdefault(match["name"], match)
    return [check_library(match, version_of(name)) for name, match in wanted.items()]


def check_library(wanted: re.Match[str], found: str | None) -> Finding:
    """One library must be installed in the asked version; what an extra brings may be absent."""
    name, extra, specifier = wanted["name"], wanted["extra"], wanted["relation"] + wanted["version"]
    if found is None and extra:
        advice = f"install cmpc with its extra: pip install 'cmpc[{extra}]'"
        return Finding(name=name, status="warning", found="not installed", advice=advice)
    if found is None:
        advice = f"pip install '{name}{specifier}'"
        return Finding(name=name, status="fault", found="not installed", advice=advice)
    if fits(found, wanted["relation"], wanted["version"]):
        return Finding(name=name, status="ok", found=found)
    advice = f"cmpc needs {specifier}: pip install '{name}{specifier}'"
    return Finding(name=name, status="fault", found=found, advice=advice)


def fits(found: str, relation: str, wanted: str) -> bool:
    """Compare two release versions; what follows a plus sign only names a build."""
    release = found.partition("+")[0]
    if relation == "==":
        return release == wanted
    return version_numbers(release) >= version_numbers(wanted)


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, in order."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
