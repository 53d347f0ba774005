"""A real SLURM behind a real SSH server, both on this machine, for as long as a test takes.

Debian's programs, with keys, ports, sockets and state of their own in one folder: an installed cluster is not touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sshd", "ssh-keygen")
PATIENCE_S = 30.0
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

SLURM = """
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
ReturnToService=2
KillWait=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""
SSHD = """
Port {ports[2]}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
SetEnv SLURM_CONF={folder}/slurm.conf
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Cluster:
    """Where the SSH server listens, and with which key it lets one in."""

    port: int
    key: Path
    known_hosts: Path


def why_not() -> str | None:
    """Say why no cluster can be started here; None if it can."""
    if os.geteuid() != 0:
        return "SLURM and its SSH server are started by root only"
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    return f"not installed: {', '.join(missing)} (Debian: slurm-wlm, munge, openssh-server)" if missing else None


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Cluster]:
    """Start the cluster in a folder, and end it with whatever runs on it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks itself in before anybody has logged in
    ports = free_ports(3)
    write(folder / "slurm.conf", SLURM.format(folder=folder, ports=ports, cpus=os.cpu_count()))
    write(folder / "gres.conf", "Name=gpu File=/dev/null\n")  # can be asked for, and does nothing
    write(folder / "sshd.conf", SSHD.format(folder=folder, ports=ports))
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    for name in ("host_key", "user_key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    public = (folder / "host_key.pub").read_text(encoding="utf-8")
    write(folder / "known_hosts", f"[127.0.0.1]:{ports[2]} {public}")
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
    daemons = [
        ["munged", "--foreground", "--force", *(f"--{option}={folder / name}" for option, name in munge.items())],
        ["slurmctld", "-D", "-f", str(folder / "slurm.conf")],
        ["slurmd", "-D", "-N", "localhost", "-f", str(folder / "slurm.conf")],
        [str(shutil.which("sshd", path=PATH)), "-D", "-e", "-f", str(folder / "sshd.conf")],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for words in daemons:
            with (folder / f"{Path(words[0]).name}.out").open("wb") as output:
                started.append(subprocess.Popen(words, stdout=output, stderr=output, env=environment(folder)))
            time.sleep(0.5)  # each needs the one before
        wait_until_idle(folder)
        yield Cluster(ports[2], folder / "user_key", folder / "known_hosts")
    finally:
        if len(started) == len(daemons):
            subprocess.run(["scancel", "--user=root"], env=environment(folder), check=False)
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(PATIENCE_S)


def wait_until_idle(folder: Path) -> None:
    """Wait for the node to be there for jobs."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        told = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=environment(folder), capture_output=True, text=True, check=False
        )
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(folder.glob("*.log")))
    raise TimeoutError(f"SLURM has no idle node after {PATIENCE_S:.0f} s: {told.stdout}{told.stderr}\n{logs}")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which SLURM's programs find this cluster."""
    return {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}


def free_ports(n: int) -> list[int]:
    """Return ports at which nobody listens; all are held until the last one is found, so that they differ."""
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def write(path: Path, text: str) -> None:
    path.write_text(text.lstrip(), encoding="utf-8")


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
