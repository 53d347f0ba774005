"""`setup production` where servers are missing, refuse or are set up badly; where all is well, see the how-to page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurm_cluster import free_ports

from aiida_perovskite.cli.servers import LONG_ENOUGH_S, consumer_timeout_s, execute, new_database, postgres_storage

if TYPE_CHECKING:
    from production_servers import Servers


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Run `setup production`, which must fail with one sentence and leave no profile; return the sentence."""
    (tmp_path / ".aiida").mkdir()

    def command(*options: str) -> str:
        program = "from aiida_perovskite.cli import cmd_root; cmd_root()"
        words = [sys.executable, "-c", program, "setup", "production", "lab", *options]
        environment = {**os.environ, "AIIDA_PATH": str(tmp_path)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1, done.stdout + done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert "lab" not in (tmp_path / ".aiida" / "config.json").read_text()
        return sentence

    return command


def test_no_rabbitmq(refused: Callable[..., str]) -> None:
    (port,) = free_ports(1)
    told = refused("--rabbitmq", f"amqp://guest:hush@127.0.0.1:{port}")
    assert f"RabbitMQ at 127.0.0.1:{port} does not answer; start it" in told
    assert "hush" not in told
    assert "amqp://USER:PASSWORD@HOST" in refused("--rabbitmq", "127.0.0.1:5672")


def test_a_profile_on_other_servers_is_left_alone(aiida_profile: Any, run: Callable[..., Any]) -> None:
    if aiida_profile.storage_backend != "core.sqlite_dos":
        pytest.skip("this profile is on these servers")
    result = run("setup", "production", aiida_profile.name)
    assert result.exit_code == 1
    assert "exists on core.sqlite_dos; give the new one another name" in result.stderr


def test_rabbitmq_refuses(refused: Callable[..., str], servers: Servers) -> None:
    assert "refuses user 'guest' or the password" in refused("--rabbitmq", servers.rabbitmq.replace(":guest", ":hush"))
    assert "has no virtual host 'none'" in refused("--rabbitmq", f"{servers.rabbitmq}/none")


def test_postgresql_refuses(refused: Callable[..., str], servers: Servers, tmp_path: Path) -> None:
    address, (port,) = servers.postgres.rpartition("@")[2], free_ports(1)
    for url, why in (
        (f"postgresql://127.0.0.1:{port}", "start PostgreSQL, or name an administrator"),
        (f"postgresql://me:hush@127.0.0.1:{port}", "Connection refused"),
        (f"postgresql://postgres:hush@{address}", "password authentication failed"),
        (f"{servers.postgres}/none", 'database "none" does not exist'),
    ):
        told = refused("--rabbitmq", servers.rabbitmq, "--postgres", url)
        assert why in told
        assert "hush" not in told
    files = tmp_path / ".aiida" / "repository" / "lab" / "container"
    files.mkdir(parents=True)
    assert "holds files of a profile that is gone" in refused("--rabbitmq", servers.rabbitmq)
    assert files.is_dir()


def test_what_a_profile_that_fails_leaves(servers: Servers) -> None:
    """Its database and the user of it are removed; a database that was given stays."""
    host, _, port = servers.postgres.rpartition("@")[2].partition(":")
    server = {"host": host, "port": int(port)}
    secret = servers.postgres.split(":")[2].partition("@")[0]
    administer = partial(execute, server, "postgres", secret)
    with new_database(administer, "given") as (owner, password):
        given = f"postgresql://{owner}:{password}@{host}:{port}/{owner}"
    made = []
    for url in (servers.postgres, given):
        with suppress(InterruptedError), postgres_storage(url, "lab") as storage:
            made.append((server, storage["database_username"], storage["database_password"], ["SELECT 1"]))
            execute(*made[-1], storage["database_name"])
            raise InterruptedError
    with pytest.raises(ValueError, match="cannot be used"):
        execute(*made[0], made[0][1])
    execute(*made[1], owner)


@pytest.mark.production
def test_doctor_says_that_tasks_are_taken_away(
    servers: Servers, aiida_profile_clean: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in servers.environment.items():
        monkeypatch.setenv(name, value)
    assert consumer_timeout_s("127.0.0.1") > LONG_ENOUGH_S
    assert consumer_timeout_s("db.example.org") is None, "rabbitmqctl knows of this machine only"
    for value, told in (("1800000", "longer than 30 minutes"), ("undefined", "")):
        set_it = f"application:set_env(rabbit, consumer_timeout, {value})."
        subprocess.run(["rabbitmqctl", "eval", set_it], check=True, env=os.environ, capture_output=True)
        (line,) = (line for line in run("doctor").stdout.splitlines() if " broker:" in line)
        if aiida_profile_clean.process_control_backend == "core.rabbitmq":
            assert line.startswith("problem" if told else "ok")
            assert told in line
    assert consumer_timeout_s("127.0.0.1") == float("inf")
