"""Faults of every kind at every stage of a running funnel: writes results/faults.csv and results/faults_log.csv.

``python benchmarks/faults.py`` screens two compounds, every step of them, on a SLURM of its own behind an SSH server
of its own; the engines are emulated, the training is real. First undisturbed, then again and again in a new profile,
while worker, broker, the whole daemon, engines, the SSH server and SLURM's controller are killed, the profile's disk is
filled and results are cut off before AiiDA has fetched them: each kind at each stage ``--each`` times, in an order and
at moments drawn from ``--seed``. Nobody helps but a waiting ``aiida-perovskite screen``; where that ends, ``doctor
--repair`` and the same command again, as the operations guide says. In the end the tables must be equal, nothing may be
computed twice and nothing may still say that it runs.

Faults that have been dealt are in ``--work``; the same command goes on there. Needs root (SLURM, a small disk), Linux.
About an hour for all; ``--faults 10`` deals the first ten.
"""

from __future__ import annotations

import argparse
import io
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
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import yaml
from emulated import Home
from emulation import EMULATOR, TINY_TRAINING
from endurance import TOLERANCE, children, compare, end_orphans, kill, own_processes
from machine import described
from slurm_cluster import Cluster, slurm_cluster, why_not

from aiida_perovskite.learning.checkpoint import atomic_path

RESULTS = Path(__file__).parent / "results"
PROFILE, LAB = "faults", "lab"
# Which WorkChain's jobs are which stage of the funnel.
STAGES = {
    "TrainModelWorkChain": "training",
    "ChgnetRelaxWorkChain": "geometry",
    "ChgnetPhasesWorkChain": "phases",
    "GpawEnergyWorkChain": "energy",
    "GpawGapWorkChain": "gap",
    "GpawAbsorptionWorkChain": "absorption",
    "GpawBandsWorkChain": "bands",
}
DAEMON = ("worker", "broker", "daemon")
SERVERS = {"ssh": "sshd", "slurm": "slurmctld"}
KINDS = (*DAEMON, "engine", *SERVERS, "disk", "file")
OUTAGE_S = (2.0, 8.0)  # how long a server is away or the disk is full
PAUSE_S = (1.0, 5.0)  # between two faults, and within a stage until the first
AT_ONCE = 2  # faults of one stage in one campaign: a job that is lost more than three times is given up
PATIENCE_S = 20.0
LOOK_S = 10.0  # how often an administrator looks whether SLURM has put its node aside
ENGINE_S = 2.0  # an emulated engine sleeps so long, so that it can be hit
GIVE_UP_S = 1800.0
RERUNS = 10
DISK_MB = 200
SETTINGS: dict[str, Any] = {
    "train": TINY_TRAINING,
    "screening": {
        "space": {"preset": None, "ab_elements": ["Ag", "Bi"], "c_elements": ["Cs", "Rb"], "d_elements": ["Cl", "Br"]},
        "selection": {"window_ev": [0, 99], "in_domain": False, "exclude_known": False, "n_candidates": 2},
        "references": [],
        "max_concurrent": 2,
    },
    "candidate": {"leave_early": False},
    "stability": {"max_atoms": 4},  # few competitors: they are not what is tried here
}
# The program of the codes: says that it was started, in which folder, and does what it is asked to.
PROGRAM = '#!/bin/sh\necho "$PWD" >> "{log}"\n{sleep}exec "{python}" {script} "$@"\n'


def main() -> int:
    """Deal what is left of the faults, and write what came of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--each", type=int, default=2, help="how often each kind hits each stage")
    parser.add_argument("--faults", type=int, help="deal only so many, every kind and every stage among them")
    parser.add_argument("--work", type=Path, help="where what was done is kept; a temporary folder if not given")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if reason := why_not():
        sys.exit(reason)
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        work = (options.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        log = deal(work, deck(options.seed, options.each, options.faults), options.seed)
    table = summary(log)
    print(log.drop(columns=["seed", "machine"]).to_string(), table.to_string(), sep="\n")
    for name, frame in (("faults", table), ("faults_log", log)):
        with atomic_path(options.output / f"{name}.csv") as path:
            frame.to_csv(path, index=False)
    return int(log[["lost", "duplicated", "stuck"]].to_numpy().any())


def deck(seed: int, each: int, number: int | None) -> Counter[tuple[str, str]]:
    """Return how often each (stage, kind) is to be dealt."""
    stages = list(STAGES.values())
    if number is None:
        return Counter(dict.fromkeys(product(stages, KINDS), each))
    chance = random.Random(seed)
    kinds = chance.sample(KINDS, len(KINDS))
    return Counter((stages[n % len(stages)], kinds[n % len(kinds)]) for n in range(number))


def deal(work: Path, wanted: Counter[tuple[str, str]], seed: int) -> pd.DataFrame:
    """Run campaigns until every fault has been dealt; return the log of all."""
    calm, file = work / "calm.json", work / "log.csv"
    if not calm.exists():
        with atomic_path(calm) as path:
            path.write_text(to_json(campaign(Counter(), seed)["table"]), encoding="utf-8")
    expected = from_json(calm.read_text(encoding="utf-8"))
    log = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["campaign", "stage", "kind"])
    while left := wanted - Counter(zip(log["stage"], log["kind"], strict=True)):
        number = int(log["campaign"].max()) + 1 if len(log) else 1
        print(f"campaign {number}: {left.total()} faults are left", flush=True)
        ended = campaign(left, seed + number)
        # The same way through JSON, where there are no integers beside missing values and no tuples.
        with atomic_path(work / f"campaign_{number}.json") as path:
            path.write_text(to_json(ended["table"]), encoding="utf-8")
        found = from_json((work / f"campaign_{number}.json").read_text(encoding="utf-8"))
        lost = lost_rows(expected, found)
        rows = pd.DataFrame(ended["faults"]).assign(
            campaign=number,
            lost=lost,
            **{name: ended[name] for name in ("stuck", "reruns", "repairs", "wall_s")},
            date=datetime.now(UTC).date().isoformat(),
            seed=seed,
            machine=described(),
        )
        for name in ("duplicated", "started_twice"):
            rows[name] = rows["stage"].map(ended[name]).fillna(0).astype(int)
        log = pd.concat([log, rows], ignore_index=True) if len(log) else rows  # an empty one would make floats of all
        with atomic_path(file) as path:
            log.to_csv(path, index=False)
    return log


def to_json(records: list[dict[str, Any]]) -> str:
    """Return a table as text, no digit lost."""
    return str(pd.DataFrame(records).to_json(orient="records", double_precision=15))


def from_json(text: str) -> pd.DataFrame:
    """Return a table from its text."""
    return pd.read_json(io.StringIO(text), orient="records", precise_float=True)


def lost_rows(expected: pd.DataFrame, found: pd.DataFrame) -> int:
    """Return how many compounds of the undisturbed table are missing from another one or differ in it."""
    lost = 0
    if missing := set(expected) ^ set(found):
        print(f"different columns: {sorted(missing)}", flush=True)
    for formula in expected["formula"]:
        one, other = (frame[frame["formula"] == formula].reset_index(drop=True) for frame in (expected, found))
        difference, notes = compare(one, other)
        if notes or not difference <= TOLERANCE:
            print(f"different: {formula}: {notes} {difference}", flush=True)
            lost += 1
    return lost


def summary(log: pd.DataFrame) -> pd.DataFrame:
    """Return by stage and kind how many faults there were and what came of them.

    A campaign has several faults: what was lost in it counts for all of them, what was doubled in a stage for those of
    this stage.
    """
    groups = log.groupby(["stage", "kind"], sort=False)
    table = groups[["lost", "duplicated", "stuck", "started_twice"]].sum()
    table.insert(0, "faults", groups.size())
    table.insert(1, "job_states", groups["job_state"].agg(lambda states: " ".join(map(str, states))))
    order = {name: n for n, name in enumerate((*STAGES.values(), *KINDS))}
    return table.reset_index().sort_values(["stage", "kind"], key=lambda names: names.map(order), ignore_index=True)


def campaign(left: Counter[tuple[str, str]], seed: int) -> dict[str, Any]:
    """Run a campaign on a cluster, in a process of its own: AiiDA reads where its profiles are when it is imported."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(disturbed, left, seed).result()


def disturbed(left: Counter[tuple[str, str]], seed: int) -> dict[str, Any]:
    """Make cluster, disk and profile, run the campaign under faults, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        (folder / "cluster").mkdir()
        with slurm_cluster(folder / "cluster") as cluster, small_disk(folder / "home"):
            home = prepared(folder / "home", cluster)
            os.environ.update(home.environment)
            try:
                return Trial(home, cluster, left, random.Random(seed)).run()
            finally:
                home.verdi("daemon", "stop", fails=True)
                end_orphans(home.folder)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk that can be filled without harm to others."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "faults", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def prepared(folder: Path, cluster: Cluster) -> Home:
    """Make the profile, with the cluster as its computer and the programs as its codes."""
    home = Home(folder, PROFILE)
    home.environment["HOME"] = str(folder)
    (folder / ".ssh").mkdir(mode=0o700)
    (folder / ".ssh" / "config").write_text(cluster.ssh_settings(LAB), encoding="utf-8")
    home.verdi("config", "set", "transport.task_retry_initial_interval", "2")  # seconds; 20 otherwise
    scratch = str(cluster.folder / "scratch")
    home.perovskite("setup", "computer", LAB, "--hostname", LAB, "--work-dir", scratch)
    home.verdi(
        *("computer", "configure", "core.ssh_async", LAB, "--non-interactive"),
        # No login shells: what root's profile does when one of them is killed is nobody's business here.
        *("--safe-interval", "0", "--host", LAB, "--no-use-login-shell"),
    )
    for label, sleep, script in (("engines", f"sleep {ENGINE_S}\n", f'"{EMULATOR}"'), ("learning", "", "")):
        program = cluster.folder / label
        content = PROGRAM.format(log=cluster.folder / "started", sleep=sleep, python=sys.executable, script=script)
        program.write_text(content, encoding="utf-8")
        program.chmod(0o755)
        home.verdi(
            *("code", "create", "core.code.installed", "--non-interactive", "--label", label, "--computer", LAB),
            *("--filepath-executable", str(program), "--default-calc-job-plugin", "core.shell", "--no-with-mpi"),
        )
    return home


class Trial:
    """A campaign, and the faults dealt to it."""

    def __init__(self, home: Home, cluster: Cluster, left: Counter[tuple[str, str]], chance: random.Random) -> None:
        from aiida import load_profile
        from aiida.orm import load_computer

        self.home, self.cluster, self.chance = home, cluster, chance
        self.left = Counter(left)
        self.dealt: list[dict[str, Any]] = []
        self.start = time.monotonic()
        load_profile(PROFILE)
        load_computer(LAB).set_minimum_job_poll_interval(1)
        home.verdi("daemon", "start", "1")

    def run(self) -> dict[str, Any]:
        """Submit, disturb, and run again what ended badly, until it ends well."""
        from aiida.manage import get_manager

        get_manager().get_profile_storage()  # opened once: a full disk should not meet this program
        rules = self.home.folder / "rules.yaml"
        rules.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
        words = ("aiida-perovskite", "-p", PROFILE, "screen", "-c", PROFILE, "--overrides", str(rules))
        codes = {"learning": "learning", "relax": "engines", "gap": "engines"}
        words += tuple(word for step, code in codes.items() for word in (f"--code-{step}", f"{code}@{LAB}"))
        log = self.cluster.folder / "screen.log"
        reruns = 0
        while self.fails(words, log):
            said, reruns = log.read_text(errors="replace"), reruns + 1
            if reruns > RERUNS:
                raise RuntimeError(f"the campaign does not end well:\n{said[-6000:]}")
            print(said[-600:], flush=True)
            self.repair()
        wall = time.monotonic() - self.start
        told = log.read_text(errors="replace").count("repairing the processes")
        return {"faults": self.dealt, "reruns": reruns, "repairs": told, "wall_s": round(wall), **self.outcome()}

    def fails(self, words: tuple[str, ...], log: Path) -> bool:
        """Run ``screen`` under faults; tell whether it ended badly."""
        environment = self.home.environment
        with (
            log.open("ab") as output,
            subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=environment) as waiting,
        ):
            self.disturb(waiting)
        return waiting.returncode != 0

    def disturb(self, waiting: subprocess.Popen[bytes]) -> None:
        """Deal faults until ``screen``, which waits for the campaign, ends."""
        due = time.monotonic() + self.chance.uniform(*PAUSE_S)
        looked = due
        while waiting.poll() is None:
            if time.monotonic() > looked + LOOK_S:
                looked = time.monotonic()
                self.cluster.take_back_node()
            if time.monotonic() - self.start > GIVE_UP_S:
                waiting.kill()
                raise TimeoutError(f"the campaign has not ended after {GIVE_UP_S:.0f} s")
            if time.monotonic() > due and (jobs := self.jobs_to_hit()):
                job = self.chance.choice(jobs)
                kinds = [kind for (stage, kind), count in self.left.items() if stage == job["stage"] and count > 0]
                self.deal(job, self.chance.choice(sorted(kinds)))
                due = time.monotonic() + self.chance.uniform(*PAUSE_S)
            time.sleep(0.3)

    def jobs_to_hit(self) -> list[dict[str, Any]]:
        """Return the jobs that run in stages for which faults are left, and which have not been hit too often."""
        hits = Counter(fault["stage"] for fault in self.dealt)
        open_stages = {stage for (stage, _), count in self.left.items() if count > 0 and hits[stage] < AT_ONCE}
        return [job for job in live_jobs() if job["stage"] in open_stages] if open_stages else []

    def deal(self, job: dict[str, Any], kind: str) -> None:
        """Deal one fault, and write down what it hit and in which state the job was."""
        time.sleep(self.chance.uniform(0, 2 * ENGINE_S))  # jobs are met in every state
        fault = {"engine": self.kill_engine, "file": self.cut_file, "disk": self.fill_disk}.get(kind)
        if fault is not None:
            hit = fault(job)
        elif kind in SERVERS:
            hit = self.stop_server(SERVERS[kind])
        else:
            hit = self.kill_daemon(kind)
        if not hit:
            return
        self.left[job["stage"], kind] -= 1
        row = {"stage": job["stage"], "kind": kind, **hit, "at_s": round(time.monotonic() - self.start, 1)}
        self.dealt.append(row)
        print(row, flush=True)

    def kill_daemon(self, kind: str) -> dict[str, str]:
        """Kill the worker, the broker, or the supervisor with all that it started."""
        found = sorted(own_processes(self.home.folder, kind))
        if not found:
            return {}
        states = states_now()
        pid = self.chance.choice(found)
        victims = [pid, *children(pid)] if kind == "daemon" else [pid]
        hit = [name for victim in victims if (name := kill(self.home.folder, kind, victim))]
        return {**states, "what": "; ".join(hit)} if hit else {}

    def kill_engine(self, job: dict[str, Any]) -> dict[str, str]:
        """Kill what the job runs."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and alive(job):
            states = states_now()
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    words = process.cmdline()
                    if process.cwd() == place(job) and not any("slurm_script" in word for word in words):
                        process.send_signal(signal.SIGKILL)
                        return {**states, "what": " ".join(Path(word).name for word in words[1:4])}
            time.sleep(0.1)
        return {}

    def cut_file(self, job: dict[str, Any]) -> dict[str, str]:
        """Cut off a result, after the program has ended and before AiiDA fetches it."""
        names = ("model.safetensors", "results.json")
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and alive(job):
            folder = Path(place(job) or "/nonexistent")
            if (folder / "status").exists():
                states = states_now()
                for file in (folder / name for name in names):
                    if file.exists():
                        os.truncate(file, file.stat().st_size // 2)
                        return {**states, "what": file.name}
            time.sleep(0.02)
        return {}

    def stop_server(self, name: str) -> dict[str, str]:
        """Kill a server and start it again after a while."""
        states = states_now()
        self.cluster.kill(name)
        seconds = self.chance.uniform(*OUTAGE_S)
        time.sleep(seconds)
        self.cluster.start(name)
        return {**states, "what": f"{name} for {seconds:.1f} s"}

    def fill_disk(self, job: dict[str, Any]) -> dict[str, str]:
        """Fill the disk that holds the profile, and make room after a while."""
        states = states_now()
        ballast = self.home.folder / "ballast"
        seconds = self.chance.uniform(*OUTAGE_S)
        end = time.monotonic() + seconds
        with ballast.open("ab", buffering=0) as file:
            while time.monotonic() < end:  # what others free is taken too
                with suppress(OSError):
                    while file.write(b"\0" * 4096):
                        pass
                time.sleep(0.05)
        ballast.unlink()
        return {**states, "what": f"full for {seconds:.1f} s"}

    def repair(self) -> None:
        """Do what the operations guide says; the small disk alone is a problem to `doctor`, whatever else it finds."""
        self.home.run("aiida-perovskite", "-p", PROFILE, "doctor", "--repair", fails=True)

    def outcome(self) -> dict[str, Any]:
        """Return the table, and what was done twice or says that it still runs."""
        from aiida.orm import Node, ProcessNode, QueryBuilder, load_group, load_node

        self.repair()
        alive_states = {"attributes.process_state": {"in": ["created", "running", "waiting"]}}
        names = ["id", "attributes.process_label"]
        stuck = QueryBuilder().append(ProcessNode, filters=alive_states, project=names).all()
        for pk, label in stuck:
            print(f"stuck: {label} {pk}", flush=True)
        runs: list[Any] = [node for node in load_group(PROFILE).nodes if getattr(node, "is_finished_ok", False)]
        last = max(runs, key=lambda node: node.pk)
        hashes: Counter[tuple[str, str]] = Counter()
        for job in finished_jobs():
            node: Node = load_node(job["pk"])
            if node.base.caching.get_cache_source() is None:
                hashes[job["stage"], str(node.base.caching.get_hash())] += 1
        duplicated: Counter[str] = Counter()
        for (stage, _), count in hashes.items():
            duplicated[stage] += count - 1
        started = Counter((self.cluster.folder / "started").read_text().split())
        twice: Counter[str] = Counter()
        for job in all_jobs():
            twice[job["stage"]] += max(started[str(place(job))] - 1, 0)
        return {
            "table": last.outputs.results.to_frame().to_dict("records"),
            "stuck": len(stuck),
            "duplicated": dict(duplicated),
            "started_twice": dict(twice),
        }


def all_jobs(**filters: Any) -> list[dict[str, Any]]:
    """Return the jobs of the stages: number, stage, state of the job and folder."""
    from aiida.orm import CalcJobNode, QueryBuilder, WorkChainNode
    from sqlalchemy.exc import OperationalError

    labels = {"attributes.process_label": {"in": list(STAGES)}}
    query = QueryBuilder().append(WorkChainNode, tag="step", filters=labels, project="attributes.process_label")
    names = {"pk": "id", "state": "attributes.state", "folder": "attributes.remote_workdir"}
    query.append(CalcJobNode, with_incoming="step", filters=filters, project=list(names.values()))
    try:
        rows = query.all()
    except OperationalError:  # a full disk, or a busy one: there is a next time
        return []
    return [{"stage": STAGES[label], **dict(zip(names, values, strict=True))} for label, *values in rows]


def live_jobs() -> list[dict[str, Any]]:
    """Return the jobs that have not ended."""
    return all_jobs(**{"attributes.process_state": {"in": ["created", "running", "waiting"]}})


def finished_jobs() -> list[dict[str, Any]]:
    """Return the jobs that ended well."""
    return all_jobs(**{"attributes.process_state": "finished", "attributes.exit_status": 0})


def alive(job: dict[str, Any]) -> bool:
    """Tell whether a job has not ended."""
    return any(one["pk"] == job["pk"] for one in live_jobs())


def place(job: dict[str, Any]) -> str | None:
    """Return the folder of a job on the cluster, as soon as it has one."""
    from aiida.orm import load_node

    return job["folder"] or load_node(job["pk"]).base.attributes.get("remote_workdir", None)


def states_now() -> dict[str, str]:
    """Return in which states the jobs are that have not ended."""
    counts = Counter(f"{job['stage']}:{job['state'] or 'new'}" for job in live_jobs())
    return {"job_state": ",".join(f"{name}*{n}" if n > 1 else name for name, n in sorted(counts.items()))}


if __name__ == "__main__":
    sys.exit(main())
