"""Processes per minute that AiiDA's daemon gets through: this package's beside AiiDA's own, on both kinds of profile.

``python benchmarks/throughput.py`` makes a profile on SQLite and ZeroMQ and one on PostgreSQL and RabbitMQ (servers of
its own, which needs root, unless ``--postgres`` and ``--rabbitmq`` name others), submits ``--processes`` of each kind
to a daemon with one and with two workers, and writes ``results/throughput.csv``. Of AiiDA: the job of its documented
benchmark (ArithmeticAddCalculation), and a job with the inputs, files and outputs of FHI-aims' (throughput_plain.py).
Of this package: the FHI-aims job, whose program hands out an output recorded from the emulator. Each of them also
within a WorkChain that restarts it. Rates are from the first submission to the last end; CPU is that of the workers and
their jobs. ``rate_ratio`` and ``cpu_ratio`` compare with AiiDA's process of the same inputs and outputs in one run.
About ten minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from machine import described

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from invented_species import species_family
from production_servers import production_servers, why_not

from aiida_perovskite.learning.checkpoint import atomic_path

RESULTS = Path(__file__).parent / "results" / "throughput.csv"
PROFILE = "throughput"
# Kind of process -> that of AiiDA with which it is compared, and how many processes one of them is.
KINDS = {
    "ArithmeticAddCalculation": ("ArithmeticAddCalculation", 1),
    "PlainCalculation": ("PlainCalculation", 1),
    "AimsCalculation": ("PlainCalculation", 1),
    "AddBaseWorkChain": ("AddBaseWorkChain", 2),
    "PlainBaseWorkChain": ("PlainBaseWorkChain", 2),
    "AimsBaseWorkChain": ("PlainBaseWorkChain", 2),
}
WARM_UP = 4  # processes of each kind, so that every worker has imported what it needs
GIVE_UP_S = 1800.0


def main() -> None:
    """Measure on both profiles, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=30, help="how many of each kind")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--postgres", help="as `setup production` takes it; with --rabbitmq")
    parser.add_argument("--rabbitmq")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the daemon is stopped on the way out
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # Where workers find the WorkChain of throughput_plain.py.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="throughput-", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        rows += measure(home / "sqlite", ["profile", PROFILE], options)
        with servers(options, home) as words:
            rows += measure(home / "postgresql", ["production", PROFILE, *words], options)
    table = pd.DataFrame(rows)
    key = ["profile", "workers"]
    own = table.rename(columns={"processes_per_minute": "own_rate", "cpu_ms_per_process": "own_cpu"})
    own = own[[*key, "kind", "own_rate", "own_cpu"]].rename(columns={"kind": "compared_with"})
    table = table.merge(own, on=[*key, "compared_with"], how="left", validate="many_to_one")
    table["rate_ratio"] = (table["processes_per_minute"] / table.pop("own_rate")).round(3)
    table["cpu_ratio"] = (table["cpu_ms_per_process"] / table.pop("own_cpu")).round(3)
    table = table.assign(date=datetime.now(UTC).date().isoformat(), machine=described())
    print(table.drop(columns=["compared_with", "date", "machine"]).to_string(index=False))
    with atomic_path(options.output) as path:
        table.to_csv(path, index=False)


@contextmanager
def servers(options: argparse.Namespace, home: Path) -> Iterator[list[str]]:
    """Give the options of `setup production` for servers that run."""
    if options.postgres and options.rabbitmq:
        yield ["--postgres", options.postgres, "--rabbitmq", options.rabbitmq]
        return
    if reason := why_not():
        sys.exit(f"{reason}; name servers that run: --postgres URL --rabbitmq URL")
    folder = home / "servers"
    folder.mkdir()
    home.chmod(0o755)  # the servers are other users
    with production_servers(folder) as started:
        os.environ.update(started.environment)
        yield ["--postgres", started.postgres, "--rabbitmq", started.rabbitmq]


def measure(home: Path, setup: list[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Make a profile, and measure every kind with each number of workers."""
    (home / ".aiida").mkdir(parents=True)
    os.environ["AIIDA_PATH"] = str(home)
    os.environ["OMP_NUM_THREADS"] = "1"
    command("aiida-perovskite", "setup", *setup)
    command("verdi", "-p", PROFILE, "config", "set", "caching.default_enabled", "false")
    rows = []
    for workers in options.workers:
        # A process of its own: AiiDA reads where its profiles are when it is imported, and a broker that was started
        # again does not hear from who knew the one before.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows += pool.submit(measure_kinds, home, options.processes, workers).result()
    return rows


def measure_kinds(home: Path, number: int, workers: int) -> list[dict[str, Any]]:
    """Start the daemon and measure every kind."""
    from aiida import load_profile

    profile, rows = load_profile(PROFILE), []
    command("verdi", "-p", PROFILE, "daemon", "start", str(workers))
    try:
        make = builders(home)
        for kind in KINDS:
            run(make[kind], WARM_UP * workers)
        for kind, (compared, size) in KINDS.items():
            seconds, cpu = run(make[kind], number)
            rows.append(
                {
                    "profile": f"{profile.storage_backend}, {profile.process_control_backend}",
                    "workers": workers,
                    "kind": kind,
                    "compared_with": compared,
                    "processes": number * size,
                    "wall_s": round(seconds, 1),
                    "processes_per_minute": round(60 * number * size / seconds, 1),
                    "cpu_ms_per_process": round(1000 * cpu / (number * size)),
                }
            )
            print(rows[-1], flush=True)
    finally:
        command("verdi", "-p", PROFILE, "daemon", "stop")
    return rows


def run(make: Callable[[], Any], number: int) -> tuple[float, float]:
    """Submit processes and wait for all of them; return wall seconds and CPU seconds of the workers."""
    from aiida.engine import submit
    from aiida.orm import ProcessNode, QueryBuilder

    start, before = time.perf_counter(), workers_cpu()
    pks = [submit(make()).pk for _ in range(number)]
    good = {"id": {"in": pks}, "attributes.process_state": "finished", "attributes.exit_status": 0}
    bad = {"id": {"in": pks}, "or": [{"attributes.process_state": {"in": ["excepted", "killed"]}}]}
    bad["or"].append({"attributes.exit_status": {">": 0}})  # type: ignore[attr-defined]
    while QueryBuilder().append(ProcessNode, filters=good).count() < number:
        if QueryBuilder().append(ProcessNode, filters=bad).count() or time.perf_counter() - start > GIVE_UP_S:
            raise RuntimeError(command("verdi", "-p", PROFILE, "process", "list", "-a"))
        time.sleep(0.2)
    return time.perf_counter() - start, workers_cpu() - before


def workers_cpu() -> float:
    """Return the CPU seconds that the workers and the jobs that they started have used so far."""
    from aiida_perovskite.cli.reviving import daemon_parts

    return sum(sum(process.cpu_times()[:4]) for process, words in daemon_parts().items() if "worker" in words)


def builders(home: Path) -> dict[str, Callable[[], Any]]:
    """Return what makes the inputs of one process, by kind."""
    from aiida.calculations.arithmetic.add import ArithmeticAddCalculation
    from aiida.orm import InstalledCode, Int, load_computer
    from throughput_plain import AddBaseWorkChain, PlainBaseWorkChain, PlainCalculation

    from aiida_perovskite.calculations.aims import AimsCalculation
    from aiida_perovskite.workflows.aims.base import AimsBaseWorkChain

    def code(label: str, program: str, plugin: str) -> InstalledCode:
        options = {"filepath_executable": program, "default_calc_job_plugin": plugin}
        return InstalledCode(label=label, computer=load_computer("localhost"), **options).store()

    bash = code("bash", "/bin/bash", "core.arithmetic.add")
    inputs = aims_inputs()
    program = record(home, inputs)
    inputs["code"] = code("aims", str(program), "perovskite.aims")

    def filled(process: Any, namespace: str, values: Callable[[], dict[str, Any]]) -> Callable[[], Any]:
        def make() -> Any:
            builder = process.get_builder()
            (builder[namespace] if namespace else builder)._update(values())
            return builder

        return make

    add, aims = (lambda: {"x": Int(1), "y": Int(1), "code": bash}), (lambda: inputs)
    return dict(
        zip(
            KINDS,
            (
                filled(ArithmeticAddCalculation, "", add),
                filled(PlainCalculation, "", aims),
                filled(AimsCalculation, "", aims),
                filled(AddBaseWorkChain, "job", add),
                filled(PlainBaseWorkChain, "job", aims),
                filled(AimsBaseWorkChain, "aims", aims),
            ),
            strict=True,
        )
    )


def aims_inputs() -> dict[str, Any]:
    """Return the inputs of an HSE06 calculation of a double perovskite, but the code."""
    from aiida.orm import Dict, KpointsData, StructureData

    from aiida_perovskite.chemistry import Composition, prototype_atoms

    atoms = prototype_atoms(Composition.parse("Cs2AgBiBr6"))
    atoms.set_initial_magnetic_moments(None)
    structure, kpoints = StructureData(ase=atoms).store(), KpointsData()
    kpoints.set_kpoints_mesh([4, 4, 4])
    keywords = {"xc": "hse06 0.11", "hse_unit": "bohr-1", "relativistic": "atomic_zora scalar"}
    return {
        "structure": structure,
        "parameters": Dict(keywords).store(),
        "kpoints": kpoints.store(),
        "species": species_family(["Cs", "Ag", "Bi", "Br"]).species_for(structure),
        "settings": Dict({}).store(),
    }


def record(home: Path, inputs: dict[str, Any]) -> Path:
    """Run the emulator once; return a program that prints what it printed."""
    from aiida_perovskite.calculations.aims import request_of
    from aiida_perovskite.engines.aims.emulator.main import emulate

    texts = {name: node.text for name, node in inputs["species"].items()}
    for name, text in request_of(inputs).files(inputs["structure"].get_ase(), texts).items():
        (home / name).write_text(text, encoding="utf-8")
    with (home / "recorded.out").open("w", encoding="utf-8") as stream:
        status = emulate(home, stream, {})
    assert status == 0, f"the emulator ended with {status}"
    program = home / "aims"
    program.write_text(f'#!/bin/bash\ncat "{home}/recorded.out"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def command(*words: str) -> str:
    """Run a command of the profile as a user would; return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout} {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
