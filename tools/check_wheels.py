"""python -m tools.check_wheels: check that every dependency has wheels, for Python 3.11 to 3.14.

Asks pip to resolve the requirements of ``pyproject.toml``, alone and with each extra and dependency
group, to wheels for Linux on x86-64; nothing is installed. Needs pip 23.3 or later, which resolves
without downloading. Environment markers are those of the Python that runs it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from .tables import ROOT

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
#: Newest first.
PLATFORMS = (*(f"manylinux_2_{n}_x86_64" for n in range(28, 16, -1)), "manylinux2014_x86_64")
#: Packages whose resolved version is printed.
SHOWN = ("torch", "torchaudio", "numpy", "lightning")


def main() -> int:
    """Resolve every set of requirements for every version; return 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", nargs="+", default=VERSIONS, metavar="VERSION")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    failed = False
    for version in options.python:
        for name, needed in requirements(project).items():
            found, result = resolve(needed, version)
            failed |= not found
            print(f"{version:6}{name:20}{'ok' if found else 'FAILED':8}{result}", flush=True)
    return 1 if failed else 0


def requirements(project: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the requirements of the package alone, and with each extra and dependency group.

    Args:
        project: contents of a ``pyproject.toml``.
    """
    base = project["project"]["dependencies"]
    extras = project["project"].get("optional-dependencies", {})
    groups = project.get("dependency-groups", {})
    own = re.compile(rf"{project['project']['name']}\[([\w\s,-]+)\]")

    def expanded(listed: Sequence[str | Mapping[str, str]]) -> list[str]:
        needed = []
        for entry in listed:
            if isinstance(entry, Mapping):
                needed += expanded(groups[entry["include-group"]])
            elif match := own.fullmatch(entry):
                for extra in match[1].split(","):
                    needed += expanded(extras[extra.strip()])
            else:
                needed.append(entry)
        return needed

    sets = {"(none)": []} | extras | groups
    return {name: [*base, *expanded(listed)] for name, listed in sets.items()}


def resolve(needed: Sequence[str], version: str) -> tuple[bool, str]:
    """Return whether pip resolves requirements for a Python version, and to what, or why not."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--quiet", "--report", "-", "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", version]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "--target", folder, *needed], capture_output=True, text=True, check=False
        )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return False, (errors or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
    installed = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    versions = {item["name"].lower(): item["version"] for item in installed}
    shown = [f"{name} {versions[name]}" for name in SHOWN if name in versions]
    return True, f"{len(versions)} wheels: {', '.join(shown)}"


if __name__ == "__main__":
    raise SystemExit(main())
