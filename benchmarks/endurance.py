"""A campaign whose daemon and engines are killed at random moments ends with the table of an undisturbed one.

``python benchmarks/endurance.py`` runs one campaign twice, each in a profile of its own below a temporary folder:
thirty candidates relaxed with CHGNet, the first two of them with a GPAW gap. While the second runs, SIGKILL hits, at
moments drawn from ``--seed``, the daemon's worker, its broker, the daemon alone or with all it started, and running
engines. Nobody helps: it is up to the waiting ``aiida-perovskite screen`` to start the daemon again and to give lost
processes a new task, and the table says how often it did. Writes ``results/endurance.csv`` and exits with 1 if the
tables differ. Linux only; it touches no process of another profile. Ten to thirty minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from machine import described

RESULTS = Path(__file__).parent / "results" / "endurance.csv"
PROFILE = "endurance"
SCRIPTS = ("relax.py", "gap.py", "energy.py", "phases.py", "absorption.py", "bands.py")
# What is killed, and how often among 14 kills. `daemon` is the supervisor with all that it started, as when a machine
# loses power; `supervisor` leaves its worker and broker behind, as orphans.
KINDS = {"engine": 5, "worker": 4, "daemon": 2, "supervisor": 2, "broker": 1}
REPAIRING = "repairing the processes"  # what `screen` prints when it brings the daemon back
TOLERANCE = 1e-6  # eV, Angstrom, ...: far below anything that is read off the table
PATIENCE_S = 20.0  # how long a kill waits for a process of its kind to appear
GIVE_UP_S = 5400.0
# Seconds instead of half a minute for a gap: Gamma alone, few plane waves and bands.
OVERRIDES: dict[str, Any] = {
    "screening": {"selection": {"window_ev": [0.0, 9.0]}, "references": []},
    "train": {"epochs": 4, "members": 2, "folds": 3, "fold_members": 2, "learning_curve": []},
    "gap": {
        "cutoff_ev": 200,
        "cutoff_fluoride_ev": 250,
        "kpoints": [1, 1, 1],
        "empty_bands": 8,
        "converged_empty_bands": 3,
        "hybrid_bands_below": 4,
        "hybrid_bands_above": 3,
        "spin_orbit_bands_above": 4,
        "convergence_eigenstates_ev2_per_electron": 1e-4,
        "max_halide_steps": 2,
    },
}
LEFT_OUT = ("phases", "energy", "absorption", "bands", "free_relax")


def main() -> int:
    """Run both campaigns, compare their tables and write the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=sum(KINDS.values()))
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--electronic", type=int, default=2)
    parser.add_argument("--complete", action="store_true", help="every step of the electronic candidates: hours")
    parser.add_argument("--folder", type=Path, help="where the profiles are made; a temporary folder if not given")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="endurance-", ignore_cleanup_errors=True) as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        calm = in_own_process(folder / "calm", overrides(options), options, 0.0)
        rough = in_own_process(folder / "rough", overrides(options), options, calm["seconds"])
    difference, notes = compare(pd.DataFrame(calm["table"]), pd.DataFrame(rough["table"]))
    for note in notes:
        print(f"different: {note}")
    equal = not notes and difference <= TOLERANCE
    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": described(),
        "seed": options.seed,
        "candidates": len(calm["table"]),
        "electronic": options.electronic,
        **{f"kills_{kind}": rough["kills"].get(kind, 0) for kind in KINDS},
        "repairs_undisturbed": calm["repairs"],
        "repairs_disturbed": rough["repairs"],
        "jobs_undisturbed": calm["jobs"],
        "jobs_disturbed": rough["jobs"],
        "seconds_undisturbed": round(calm["seconds"]),
        "seconds_disturbed": round(rough["seconds"]),
        "equal": "yes" if equal else "no",
        "largest_difference": difference,
    }
    print(json.dumps(row, indent=1))
    written = options.output.with_suffix(".tmp")
    pd.DataFrame([row]).to_csv(written, index=False)
    os.replace(written, options.output)
    return 0 if equal else 1


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the campaign."""
    screening = {**OVERRIDES["screening"], "n_electronic": options.electronic}
    screening["selection"] = {**screening["selection"], "n_candidates": options.candidates}
    if not options.complete:
        screening["engines"] = dict.fromkeys(LEFT_OUT)
    return {**OVERRIDES, "screening": screening}


def compare(calm: pd.DataFrame, rough: pd.DataFrame) -> tuple[float, list[str]]:
    """Return the largest difference between two numbers of the tables, and what else differs."""
    if list(calm.columns) != list(rough.columns) or list(calm["formula"]) != list(rough["formula"]):
        return float("nan"), ["the columns or the compounds and their order"]
    largest, notes = 0.0, []
    for name in calm.columns:
        if not (calm[name].isna() == rough[name].isna()).all():
            notes.append(f"{name}: a value is missing in one of them")
        elif pd.api.types.is_numeric_dtype(calm[name]) and not pd.api.types.is_bool_dtype(calm[name]):
            largest = max(largest, float((calm[name] - rough[name]).abs().max(skipna=True) or 0.0))
        elif not (calm[name].fillna("").astype(str) == rough[name].fillna("").astype(str)).all():
            notes.append(f"{name}: {calm[name].tolist()} and {rough[name].tolist()}")
    return largest, notes


def in_own_process(home: Path, settings: dict[str, Any], options: argparse.Namespace, expected_s: float) -> Any:
    """Run a campaign in a process of its own: AiiDA reads where its profiles are when it is imported."""
    home.mkdir(parents=True)
    os.environ["AIIDA_PATH"] = str(home)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kills = options.kills if expected_s else 0
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(campaign, home, settings, kills, options.seed, expected_s).result()


def campaign(home: Path, settings: dict[str, Any], kills: int, seed: int, expected_s: float) -> dict[str, Any]:
    """Make a profile, run the campaign to its end and return its table, duration, kills by kind and number of jobs."""
    file = home / "overrides.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    (home / ".aiida").mkdir()
    command("aiida-perovskite", "setup", "profile", PROFILE)
    command("verdi", "-p", PROFILE, "daemon", "start")
    try:
        screen = ("aiida-perovskite", "-p", PROFILE, "screen", "-c", PROFILE, "--overrides", str(file))
        pk = int(json.loads(command(*screen, "--no-wait", "--json"))["pk"])
        print(f"{home.name}: process {pk} in {home}", flush=True)
        start = time.monotonic()
        log = home / "screen.log"
        with log.open("w") as output, subprocess.Popen(screen, stdout=output, stderr=subprocess.STDOUT) as waiting:
            killed = disturb(home, waiting, kills, random.Random(seed), expected_s)
        seconds = time.monotonic() - start
        told = [line for line in log.read_text().splitlines() if REPAIRING in line]
        print("\n".join(told), flush=True)
        return {"kills": killed, "repairs": len(told), "seconds": seconds, **outcome(pk)}
    except Exception:
        print(command("verdi", "-p", PROFILE, "process", "list", "-a", "-p", "1", fails=True), flush=True)
        for log in home.glob(".aiida/daemon/log/*.log"):
            print(log, log.read_text(errors="replace")[-4000:], sep="\n", flush=True)
        raise
    finally:
        command("verdi", "-p", PROFILE, "daemon", "stop", fails=True)
        end_orphans(home)


def disturb(
    home: Path, waiting: subprocess.Popen[bytes], kills: int, chance: random.Random, expected_s: float
) -> Counter[str]:
    """Kill at random moments until ``screen``, which waits for the campaign, ends."""
    start = time.monotonic()
    killed: Counter[str] = Counter()
    # On average all kills fall within the time that the campaign takes undisturbed; the gaps between them vary.
    pause = expected_s / (kills + 1)
    due = chance.uniform(0.3, 1.7) * pause
    deck: list[str] = []
    while waiting.poll() is None:
        now = time.monotonic() - start
        if now > GIVE_UP_S:
            waiting.kill()
            raise TimeoutError(f"the campaign has not ended after {now:.0f} s")
        if killed.total() < kills and now > due:
            deck = deck or chance.sample(list(KINDS), sum(KINDS.values()), counts=list(KINDS.values()))
            kind = deck.pop()
            found = await_process(home, kind)
            if found:
                # The draw is of a position, not of a process id: those differ from run to run.
                pid = found[chance.randrange(len(found))]
                victims = [pid, *children(pid)] if kind == "daemon" else [pid]
                hit = [name for victim in victims if (name := kill(home, kind, victim))]
                killed[kind] += bool(hit)
                print(f"[{time.monotonic() - start:6.1f} s] killed {kind}: {'; '.join(hit)}", flush=True)
            due = time.monotonic() - start + chance.uniform(0.3, 1.7) * pause
        time.sleep(0.5)
    return killed


def await_process(home: Path, kind: str) -> list[int]:
    """Return the running processes of a kind, waiting a while for the first."""
    end = time.monotonic() + PATIENCE_S
    while not (found := sorted(own_processes(home, kind))) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def own_processes(home: Path, kind: str) -> Iterator[int]:
    """Yield the processes of one kind that belong to the profile in ``home``, and to no other."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_own(home, kind, int(entry.name)):
            yield int(entry.name)


def end_orphans(home: Path) -> None:
    """Kill what is left of a daemon that was killed, and its engines on this machine."""
    for kind in ("supervisor", "worker", "broker", "statistics", "engine"):
        for pid in list(own_processes(home, kind)):
            kill(home, kind, pid)


def is_own(home: Path, kind: str, pid: int) -> bool:
    """Tell whether a process is of this kind and has the profile's folder in its environment (and as its place)."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        place = Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return False
    paths = {f"AIIDA_PATH={path}".encode() for path in (home, home / ".aiida")}
    if not paths & set(environment):
        return False
    if kind == "engine":
        return place.is_relative_to(home) and any(script in words for script in SCRIPTS)
    if kind == "statistics":  # a helper of the supervisor that outlives it
        return any("circus import stats" in word for word in words)
    word = {"worker": "worker", "broker": "broker", "supervisor": "start-circus", "daemon": "start-circus"}[kind]
    return "daemon" in words and word in words


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()] if tasks.exists() else []


def kill(home: Path, kind: str, pid: int) -> str:
    """Send SIGKILL to a process if it is still what it was found to be; return its command line, or nothing."""
    kinds = ("supervisor", "worker", "broker") if kind == "daemon" else (kind,)
    try:
        handle = os.pidfd_open(pid)  # the number of a process may be given to another one, its handle cannot
    except ProcessLookupError:
        return ""
    try:
        if not any(is_own(home, name, pid) for name in kinds):
            return ""
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return f"{pid} {' '.join([Path(words[1]).name, *words[2:6]])}"
    except (ProcessLookupError, FileNotFoundError):
        return ""
    finally:
        os.close(handle)


def command(*words: str, fails: bool = False) -> str:
    """Run a command of the profile as a user would; return its standard output."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and not fails:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout} {done.stderr}")
    return done.stdout + (done.stderr if fails else "")


def outcome(pk: int) -> dict[str, Any]:
    """Return the table of a campaign that ended well, and how many jobs it took."""
    from aiida import load_profile
    from aiida.orm import CalcJobNode, load_node

    load_profile(PROFILE)
    node: Any = load_node(pk)
    if not node.is_finished_ok:
        raise RuntimeError(f"the campaign ended as {node.process_state} {node.exit_status}: {node.exit_message}")
    jobs = sum(isinstance(child, CalcJobNode) for child in node.called_descendants)
    return {"table": node.outputs.results.to_frame().to_dict("records"), "jobs": jobs}


if __name__ == "__main__":
    sys.exit(main())
