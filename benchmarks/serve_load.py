"""Load on `palpate serve`: an open loop of requests about distinct regions, and what each costs.

    python benchmarks/serve_load.py RESULTS --seconds 20 --rate 200

Requests leave at their times whether or not earlier ones were answered, over as many connections as `--clients`; the
latency counts from the time at which a request should have left. `hey` measures a closed loop, which waits for slow
answers and so hides them; it is run beside this one in docs/serve.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from palpate.service.query.session import open_session


def main() -> None:
    """Start the service, load it, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--radius-mm", type=float, default=0.0, help="one radius; default: 20 to 5,000 voxels")
    given = parser.parse_args()
    queries = _queries(given.results, int(given.seconds * given.rate), given.radius_mm)
    with tempfile.TemporaryDirectory() as home:
        settings = {name: f"{home}/{name}" for name in ("audit", "uploads")} | {"requests_per_second": 1e6}
        command = [sys.executable, "-m", "palpate", "serve", str(given.results), "--port", "0"]
        command += ["--workers", str(given.workers), "--settings", json.dumps(settings)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        try:
            port = int(running.stdout.readline().strip().rpartition(":")[2])
            workers = _workers(running.pid)
            told = asyncio.run(_load(port, queries, given.rate, given.clients, workers))
        finally:
            running.terminate()
            running.wait()
    print(json.dumps(told, indent=2))


def _queries(results: Path, count: int, radius_mm: float) -> list[str]:
    """Return queries about spheres, log-uniform from 20 to 5,000 voxels, around voxels of the inner brain."""
    folder = next(results.glob("sub-*/ses-*"))
    run = open_session(folder).runs[0]
    affine_mm, voxels = run.stiffness.affine_mm, run.draws.voxels
    middle, half = voxels.mean(axis=0), 0.5 * (voxels.max(axis=0) - voxels.min(axis=0))
    inner = voxels[np.all(np.abs(voxels - middle) < 0.5 * half, axis=1)]
    rng, chosen = np.random.default_rng(5), random.Random(5)
    voxel_mm3 = abs(float(np.linalg.det(affine_mm[:3, :3])))
    path = f"/api/v1/subjects/{folder.parent.name[4:]}/sessions/{folder.name[4:]}/region"
    found = []
    for number in np.exp(rng.uniform(np.log(20), np.log(5000), count)):
        radius = radius_mm or (3.0 * number * voxel_mm3 / (4.0 * np.pi)) ** (1.0 / 3.0)
        centre = affine_mm[:3, :3] @ inner[chosen.randrange(len(inner))] + affine_mm[:3, 3]
        sphere = ",".join(f"{one:.2f}" for one in (*centre, radius))
        found.append(f"{path}?{urlencode({'sphere': sphere, 'above': 3})}")
    return found


async def _load(port: int, queries: list[str], rate: float, clients: int, workers: list[int]) -> dict[str, Any]:
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(clients):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    await asyncio.gather(*(_ask(free, one) for one in queries[:clients]))  # every worker has opened the session
    before, start = [_cpu_s(one) for one in workers], asyncio.get_running_loop().time()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    latencies: list[float] = []
    wrong = 0

    async def one(number: int, query: str) -> None:
        nonlocal wrong
        at = start + number / rate
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        wrong += await _ask(free, query) != 200
        latencies.append(asyncio.get_running_loop().time() - at)

    await asyncio.gather(*(one(number, query) for number, query in enumerate(queries)))
    elapsed = asyncio.get_running_loop().time() - start
    spent = sum(_cpu_s(one) - was for one, was in zip(workers, before, strict=True))
    ms = np.array(latencies) * 1e3
    return {
        "requests": len(queries),
        "errors": wrong,
        "requests_per_second": len(queries) / elapsed,
        "latency_ms": {f"p{q:g}": float(np.percentile(ms, q)) for q in (50, 95, 99, 100)},
        "cpu_ms_a_request": 1e3 * spent / len(queries),
        "private_mb_a_worker": max(map(_private_mb, workers)),
        "client_cpu_ms_a_request": 1e3 * (resource.getrusage(resource.RUSAGE_SELF).ru_utime - own) / len(queries),
        "load_average": os.getloadavg()[0],
    }


async def _ask(free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]], query: str) -> int:
    connection = await free.get()
    reader, writer = connection
    writer.write(f"GET {query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(one.split(b":")[1]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length"))
    await reader.readexactly(length)
    free.put_nowait(connection)
    return int(head.split(b" ", 2)[1])


def _cpu_s(process: int) -> float:
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def _private_mb(process: int) -> float:
    """Return the memory that a worker alone holds and the system cannot take back.

    Pages of the mapped draws that one worker alone has touched are clean: they count for the file, not for the worker.
    """
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(one.split()[1]) for one in lines if one.startswith("Private_Dirty")) / 1024.0


def _workers(top: int) -> list[int]:
    """Return the processes that answer: those without children below the command."""
    time.sleep(2.0)
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        words = path.read_text().rpartition(")")[2].split()
        parents.setdefault(int(words[1]), []).append(int(path.parent.name))
    found, waiting = [], [top]
    while waiting:
        one = waiting.pop()
        below = parents.get(one, [])
        waiting += below
        if not below:
            found.append(one)
    return found


if __name__ == "__main__":
    main()
