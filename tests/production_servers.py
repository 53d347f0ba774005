"""A private PostgreSQL and RabbitMQ on this machine, for as long as a test takes.

Debian's programs, with ports, passwords and state of their own in one folder: installed servers are not touched.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm_cluster import free_ports

PATIENCE_S = 60.0
RABBITMQ = Path("/usr/lib/rabbitmq/bin")  # beside the wrappers of /usr/sbin, which know one server and one user only
A_YEAR_MS = 31_536_000_000


@dataclass(frozen=True)
class Servers:
    """Where both servers listen.

    Attributes
    ----------
    postgres, rabbitmq
        URLs as `setup production` takes them; that of PostgreSQL names the superuser, and no database.
    environment
        In which psql, run by the system's user postgres, and rabbitmqctl find these servers.
    """

    postgres: str
    rabbitmq: str
    environment: dict[str, str]


def why_not() -> str | None:
    """Say why no servers can be started here; None if they can."""
    if os.geteuid() != 0:
        return "PostgreSQL and RabbitMQ are started by root only"
    there = {"postgresql": postgres_programs(), "rabbitmq-server": RABBITMQ.is_dir()}
    missing = [name for name, found in there.items() if not found]
    return f"not installed: {', '.join(missing)} (Debian packages)" if missing else None


def postgres_programs() -> Path | None:
    """Return the folder of the newest installed PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return found[-1] if found else None


@contextmanager
def production_servers(folder: Path, consumer_timeout_ms: int = A_YEAR_MS) -> Iterator[Servers]:
    """Start both servers in a folder, and end them with whatever runs on them."""
    folder.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []
    try:
        postgres, environment = start_postgres(folder, started)
        rabbitmq, path = start_rabbitmq(folder, started, consumer_timeout_ms)
        yield Servers(postgres, rabbitmq, {**environment, "PATH": f"{path}:{os.environ['PATH']}"})
    finally:
        for process in started[1:]:
            process.terminate()
        for process in started[:1]:
            process.send_signal(signal.SIGINT)  # PostgreSQL would wait for its clients otherwise
        for process in started:
            end(process)


def start_postgres(folder: Path, started: list[subprocess.Popen[bytes]]) -> tuple[str, dict[str, str]]:
    """Start PostgreSQL as Debian sets it up: the user postgres of the system is let in, all others need a password."""
    programs, (port,) = postgres_programs(), free_ports(1)
    assert programs is not None
    data, password = folder / "postgres", secrets.token_hex(8)
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    (folder / "password").write_text(password)
    words = [str(programs / "initdb"), "-D", str(data), "-A", "scram-sha-256", "--auth-local=peer", "--no-sync"]
    words += ["--pwfile", str(folder / "password")]
    subprocess.run(words, check=True, capture_output=True, user="postgres", group="postgres", cwd="/")
    words = [str(programs / "postgres"), "-D", str(data), "-k", str(data), "-p", str(port), "-F", "-h", "127.0.0.1"]
    start(words, folder / "postgres.out", started, stop="INT", user="postgres", group="postgres", cwd="/")
    ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, started[-1], folder / "postgres.out")
    return f"postgresql://postgres:{password}@127.0.0.1:{port}", {"PGHOST": str(data)}


def start_rabbitmq(folder: Path, started: list[subprocess.Popen[bytes]], consumer_timeout_ms: int) -> tuple[str, Path]:
    """Start RabbitMQ, and before it what tells nodes of each other, which it would leave behind otherwise."""
    port, distribution, epmd = free_ports(3)
    (folder / "rabbitmq.conf").write_text(f"consumer_timeout = {consumer_timeout_ms}\n")
    (folder / "plugins").write_text("[].\n")
    own = {
        "HOME": str(folder),  # of the cookie
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": "tests@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
    }
    path, output = folder / "bin", folder / "rabbitmq.out"
    path.mkdir()
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in own.items())
    (path / "rabbitmqctl").write_text(f'#!/bin/sh\n{lines}exec {RABBITMQ}/rabbitmqctl "$@"\n')
    (path / "rabbitmqctl").chmod(0o755)
    start(["epmd", "-port", str(epmd), "-address", "127.0.0.1"], folder / "epmd.out", started)
    start([str(RABBITMQ / "rabbitmq-server")], output, started, env={**os.environ, **own})
    wait_for(lambda: answers(port), started[-1], output)
    return f"amqp://guest:guest@127.0.0.1:{port}", path


def start(
    words: list[str], output: Path, started: list[subprocess.Popen[bytes]], stop: str = "TERM", **options: Any
) -> None:
    """Start a server that is told to stop even if this process is killed."""
    words = ["setpriv", "--pdeathsig", stop, *words]
    with output.open("wb") as file:
        started.append(subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True, **options))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait for a server to be there."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return
        time.sleep(0.2)
    raise TimeoutError(f"{output.stem} does not start: {output.read_text(errors='replace')[-2000:]}")


def answers(port: int) -> bool:
    """Tell whether somebody listens at a port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a server that was told to end; with its children, it is killed if it does not."""
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
