"""Names everything the machine lacks, with the line that installs it, before anything is downloaded or built."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = {"libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1", "libz.so.1": "zlib1g"}
"""What the binary wheels expect from the system, and the Debian package that brings it (found with ldd)."""

OLDEST_GLIBC = (2, 34)
"""The finite-element wheel is built for manylinux_2_34."""


def missing_packages() -> list[str]:
    """Debian packages that have to be installed first."""
    wanted = [package for library, package in LIBRARIES.items() if not _loads(library)]
    if not _compiles():
        wanted += ["gcc", "libc6-dev"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        wanted.append(f"{version}-dev")
    if find_spec("ensurepip") is None:
        wanted.append(f"{version}-venv")
    return wanted


def unsuitable() -> str:
    """Return why this kind of machine cannot run the binary wheels; empty where it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"The wheels are for Linux on x86_64, this is {platform.system()} on {platform.machine()}."
    _, _, glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if glibc and tuple(int(part) for part in glibc.split(".")[:2]) < OLDEST_GLIBC:
        return f"The finite-element wheel needs glibc 2.34 or newer, this system has {glibc}."
    return ""


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _compiles() -> bool:
    """Return whether a C compiler with the system's headers is there: weak forms are compiled at their first use."""
    if shutil.which("gcc") is None:
        return False
    command = ["gcc", "-x", "c", "-", "-shared", "-fPIC", "-o", os.devnull]
    return subprocess.run(command, input=b"#include <math.h>\n", capture_output=True, check=False).returncode == 0


def main() -> int:
    """Exit code 0 where everything is there, else 1 after saying what to do."""
    if reason := unsuitable():
        print(f"{reason} Use the conda environment envs/palpate.yaml or a container.", file=sys.stderr)
        return 1
    if missing := missing_packages():
        print("This machine lacks system packages. Install them and try again:", file=sys.stderr)
        print(f"    sudo apt-get install -y {' '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
