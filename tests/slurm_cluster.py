"""A real SLURM behind a real SSH server, both on this machine, for as long as a test takes.

Debian's programs, with keys, ports, sockets and state of their own in one folder: an installed cluster is not touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

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
SlurmdTimeout=15
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
SetEnv SLURM_CONF={folder}/slurm.conf HOME={folder}
Subsystem sftp internal-sftp
"""


@dataclass
class Cluster:
    """Where the SSH server listens, and with which key it lets one in; what runs, to be killed and started again."""

    folder: Path
    port: int
    key: Path
    known_hosts: Path
    commands: dict[str, list[str]]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one of the daemons."""
        with (self.folder / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                self.commands[name], stdout=output, stderr=output, env=environment(self.folder)
            )

    def kill(self, name: str) -> None:
        """Kill one of the daemons with all that it has started: of the SSH server, its sessions."""
        process = self.processes[name]
        started = psutil.Process(process.pid).children(recursive=True)
        for one in (process, *started):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(PATIENCE_S)

    def take_back_node(self) -> None:
        """Do what an administrator does after a controller has died: use the node again that SLURM has put aside."""
        if any(word in node_state(self.folder).stdout for word in ("drain", "down")):
            words = ["scontrol", "update", "nodename=localhost", "state=resume"]
            subprocess.run(words, env=environment(self.folder), check=False, capture_output=True)

    def ssh_settings(self, host: str) -> str:
        """Return what ~/.ssh/config says of the cluster under this name."""
        return (
            f"Host {host}\n  HostName 127.0.0.1\n  Port {self.port}\n  User root\n  IdentityFile {self.key}\n"
            f"  UserKnownHostsFile {self.known_hosts}\n"
        )


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
    places = [f"--{option}={folder / name}" for option, name in munge.items()]
    daemons = {
        "munged": ["munged", "--foreground", "--force", *places],
        "slurmctld": ["slurmctld", "-D", "-f", str(folder / "slurm.conf")],
        "slurmd": ["slurmd", "-D", "-N", "localhost", "-f", str(folder / "slurm.conf")],
        "sshd": [str(shutil.which("sshd", path=PATH)), "-D", "-e", "-f", str(folder / "sshd.conf")],
    }
    cluster = Cluster(folder, ports[2], folder / "user_key", folder / "known_hosts", daemons)
    try:
        for name in daemons:
            cluster.start(name)
            time.sleep(0.5)  # each needs the one before
        wait_until_idle(folder)
        yield cluster
    finally:
        if len(cluster.processes) == len(daemons):
            subprocess.run(["scancel", "--user=root"], env=environment(folder), check=False)
        for process in reversed(cluster.processes.values()):
            process.terminate()
        for process in cluster.processes.values():
            process.wait(PATIENCE_S)


def wait_until_idle(folder: Path) -> None:
    """Wait for the node to be there for jobs."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        told = node_state(folder)
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(folder.glob("*.log")))
    raise TimeoutError(f"SLURM has no idle node after {PATIENCE_S:.0f} s: {told.stdout}{told.stderr}\n{logs}")


def node_state(folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask SLURM for the state of its node."""
    words = ["sinfo", "-h", "-o", "%T"]
    return subprocess.run(words, env=environment(folder), capture_output=True, text=True, check=False)


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
