"""Two nodes behind a switch on one machine: namespaces that share files, and neither memory, processes nor network.

A node has a network of its own (a cable to the switch is its only way out), a /dev/shm of its own, where scratch files
go too, and a name, System V memory and process numbers of its own. Ranks on different nodes can reach each other by TCP
alone. A third namespace, the head, holds the switch and starts the ranks. No network leads out of the machine.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

ADDRESSES: Final = MappingProxyType({"node-1": "192.0.2.1", "node-2": "192.0.2.2"})
"""Address of each node by its name; the network is the one that is kept for documents (RFC 5737)."""
SCRATCH: Final = "/dev/shm"
_HEAD: Final = "192.0.2.10"
_OWN: Final = ("--net", "--uts", "--ipc", "--mount", "--pid")
_PROGRAMS: Final = ("unshare", "nsenter", "ip", "mount")
_BEGIN: Final = f'hostname "$0" && mount -t tmpfs palpate {SCRATCH} && ip link set lo up && echo ready && exec cat'


def why_not() -> str | None:
    """Return why no nodes can be made here; None where they can."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} here (apt-get install util-linux iproute2)"
    if os.geteuid() != 0:
        return "namespaces of a network need root"
    tried = subprocess.run(["unshare", *_OWN, "--fork", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"the system makes no namespaces: {tried.stderr.strip()}"


class TwoNodes:
    """Two nodes behind a switch, for as long as a `with` block lasts.

    Args:
        folder: folder for the launcher's script; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._launcher = folder.absolute() / "enter-node"
        self._spaces: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        try:
            for name in ("head", *ADDRESSES):
                self._make(name)
            self._lay_cables()
        except BaseException:
            self.__exit__()
            raise
        cases = "".join(f"{address}) pid={self._inside(name)};; " for name, address in ADDRESSES.items())
        # Hydra calls the program as it would call ssh: options, the host, and the words of the command.
        self._launcher.write_text(
            "#!/bin/sh\n"
            'while [ "${1#-}" != "$1" ]; do shift; done; host=$1; shift\n'
            f"case $host in {cases} *) exit 1;; esac\n"
            f'exec nsenter --target "$pid" {" ".join(_OWN)} sh -c "$*"\n'
        )
        self._launcher.chmod(stat.S_IRWXU)
        return self

    def __exit__(self, *_: object) -> None:
        for space in self._spaces.values():
            space.kill()  # its processes end with it (--kill-child, and the end of process 1 of the namespace)
            space.communicate()

    def mpiexec(self, ranks: int = 2) -> list[str]:
        """Return the words before a command that start its ranks, dealt to the nodes in turn.

        Args:
            ranks: number of ranks.
        """
        head = ["nsenter", "--target", str(self._inside("head")), "--net", "--uts"]
        launched = ["-launcher", "ssh", "-launcher-exec", str(self._launcher), "-localhost", _HEAD]
        program = str(Path(sys.executable).with_name("mpiexec"))
        where = ["-hosts", ",".join(ADDRESSES.values()), "-genv", "TMPDIR", SCRATCH]
        return [*head, program, *launched, *where, "-n", str(ranks)]

    def on(self, name: str, words: Sequence[str]) -> str:
        """Run a program on a node, or on the head, and return what it printed.

        Args:
            name: name of the node.
            words: words of the command.
        """
        entered = ["nsenter", "--target", str(self._inside(name)), *_OWN, *words]
        return subprocess.run(entered, check=True, capture_output=True, text=True).stdout

    def received_bytes(self, name: str) -> int:
        """Return how much has come to a node through its cable, bytes.

        Args:
            name: name of the node.
        """
        told = self.on(name, ["cat", "/proc/net/dev"])
        (line,) = [line for line in told.splitlines() if line.strip().startswith("eth0:")]
        return int(line.partition(":")[2].split()[0])

    def _make(self, name: str) -> None:
        words = ["unshare", *_OWN, "--fork", "--kill-child", "--mount-proc", "sh", "-c", _BEGIN, name]
        # It reads until this process closes the pipe, or ends in whichever way.
        space = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._spaces[name] = space
        assert space.stdout is not None
        if space.stdout.readline().strip() != "ready":
            raise RuntimeError(f"no namespace for {name}")

    def _inside(self, name: str) -> int:
        """Return the process of a namespace that lives in it, by its number outside."""
        pid = self._spaces[name].pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])

    def _lay_cables(self) -> None:
        self.on("head", ["ip", "link", "add", "switch", "type", "bridge"])
        self.on("head", ["ip", "addr", "add", f"{_HEAD}/24", "dev", "switch"])
        self.on("head", ["ip", "link", "set", "switch", "up"])
        for name, address in ADDRESSES.items():
            ends = ["ip", "link", "add", "eth0", "netns", str(self._inside(name)), "type", "veth", "peer", "name", name]
            subprocess.run([*ends, "netns", str(self._inside("head"))], check=True)
            self.on(name, ["ip", "addr", "add", f"{address}/24", "dev", "eth0"])
            self.on(name, ["ip", "link", "set", "eth0", "up"])
            self.on("head", ["ip", "link", "set", name, "master", "switch"])
            self.on("head", ["ip", "link", "set", name, "up"])
