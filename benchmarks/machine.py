"""Print the machine that a benchmark ran on, as a Markdown list: ``python benchmarks/machine.py``."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("aiida-perovskite", "aiida-core", "torch", "numpy", "scikit-learn", "crepes", "chgnet", "gpaw", "ase")
MATRIX_SIZE = 1024  # 4 MiB a matrix: large enough for the full rate, small enough for milliseconds
REPEATS = 20  # the best of these is the rate of a machine that does nothing else


def main() -> None:
    """Print processor, memory, system, versions, and the rate at which one thread multiplies matrices."""
    print(f"- Processor: {processor()}, {len(os.sched_getaffinity(0))} cores usable")
    print(f"- Memory: {memory_gib():.0f} GiB")
    print(f"- System: {platform.platform()}, Python {platform.python_version()}")
    print(f"- Packages: {', '.join(versions())}")
    print(f"- Matrix multiplication (float32, {MATRIX_SIZE} x {MATRIX_SIZE}, torch): ", end="")
    cores = len(os.sched_getaffinity(0))
    print(", ".join(f"{matrix_rate(n) / 1e9:.0f} GFLOP/s with {n} thread(s)" for n in sorted({1, cores})))


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def described() -> str:
    """Return what stands in the column ``machine`` of a table."""
    return f"{processor()}, {os.cpu_count()} cores"


def memory_gib() -> float:
    """Return the size of the memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def versions() -> list[str]:
    """Return the packages that are installed, with their versions."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def matrix_rate(threads: int) -> float:
    """Return floating-point operations per second of a large matrix product; the best of some repeats."""
    import torch

    torch.set_num_threads(threads)
    matrix = torch.rand(MATRIX_SIZE, MATRIX_SIZE)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        best = min(best, time.perf_counter() - start)
    return 2 * MATRIX_SIZE**3 / best


if __name__ == "__main__":
    main()
