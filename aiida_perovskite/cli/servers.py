"""PostgreSQL and RabbitMQ of a profile: whether they let one in, a database for it, and how long a task may take."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

TIMEOUT_S = 20
# A worker keeps a task unacknowledged for as long as its process runs: a campaign may take weeks.
LONG_ENOUGH_S = 30 * 24 * 3600.0
ASK_TIMEOUT = "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'"
RAISE_TIMEOUT = "`consumer_timeout = 31536000000` (a year) in /etc/rabbitmq/rabbitmq.conf, and restart RabbitMQ"


def rabbitmq_config(url: str) -> dict[str, Any]:
    """Return what AiiDA wants to know of the RabbitMQ at ``amqp://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST``."""
    parts = _split(url, ("amqp", "amqps"), "--rabbitmq takes amqp://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST")
    return {
        "broker_protocol": parts.scheme,
        "broker_username": unquote(parts.username or "guest"),
        "broker_password": unquote(parts.password or "guest"),
        "broker_host": parts.hostname,
        "broker_port": parts.port or 5672,
        "broker_virtual_host": unquote(parts.path.removeprefix("/")),
    }


def check_rabbitmq(config: dict[str, Any]) -> None:
    """Raise ValueError, with what to do, if RabbitMQ does not let one in."""
    from aiida.brokers.rabbitmq.defaults import detect_rabbitmq_config

    given = {name.removeprefix("broker_"): value for name, value in config.items() if name != "broker_parameters"}
    try:
        detect_rabbitmq_config(**given)
    except ConnectionError as error:  # its own text holds the password
        cause = error.__cause__
        if "Authentication" in type(cause).__name__:
            why = f"refuses user {given['username']!r} or the password; correct them in --rabbitmq"
        elif isinstance(cause, OSError):
            why = "does not answer; start it (Debian: `systemctl start rabbitmq-server`), or correct --rabbitmq"
        else:
            why = f"has no virtual host {given['virtual_host'] or '/'!r} for user {given['username']!r}"
        raise ValueError(f"RabbitMQ at {given['host']}:{given['port']} {why}") from None


def consumer_timeout_s(host: str) -> float | None:
    """Return after how long RabbitMQ takes a task away from a worker; infinity if never, None if it cannot be told.

    Only `rabbitmqctl` knows, on the machine of the server and for its administrator.
    """
    program = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or not _is_here(host):
        return None
    words = [program, *ASK_TIMEOUT.replace("'", "").split(" ", 2)[1:]]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\{ok, *(\d+)\}", done.stdout)
    if found:
        return int(found[1]) / 1000
    return float("inf") if "undefined" in done.stdout else None


@contextmanager
def postgres_storage(url: str, profile: str) -> Iterator[dict[str, Any]]:
    """Give what AiiDA wants to know of a database: that of the URL if it names one, or a new one with its own user.

    A new database is removed again if the profile is not made.

    Raises
    ------
    ValueError
        If PostgreSQL does not answer, or lets nobody in who may do this.
    """
    wanted = "--postgres takes postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or as much of it as the help says"
    parts = _split(url, ("postgresql", "postgres"), wanted)
    server: dict[str, Any] = {"host": parts.hostname, "port": parts.port or 5432}
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    database = names_database(url)
    if database:
        if not user or not password:
            raise ValueError(f"database {database!r} needs its user and password: {wanted}")
        execute(server, user, password, ["SELECT 1"], database)
        yield _storage(server, database, user, password)
        return
    administer = partial(execute, server, user, password) if user else partial(execute_as_postgres, server)
    with new_database(administer, profile) as (owner, secret):
        execute(server, owner, secret, ["SELECT 1"], owner)  # pg_hba.conf may allow less than the administrator thinks
        yield _storage(server, owner, owner, secret)


def names_database(url: str) -> str:
    """Return the database that a URL names, or nothing."""
    return unquote(urlsplit(url).path.strip("/"))


@contextmanager
def new_database(administer: Callable[[list[str]], None], profile: str) -> Iterator[tuple[str, str]]:
    """Make a user and a database of the same name; give name and password."""
    from psycopg import sql

    # Never the name of something that another machine or an earlier attempt made.
    owner, secret = f"aiida-{profile[:30]}-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    name, password = sql.Identifier(owner).as_string(None), sql.Literal(secret).as_string(None)
    try:
        administer(
            [
                f"CREATE ROLE {name} LOGIN PASSWORD {password}",
                f"GRANT {name} TO CURRENT_USER",  # who gives a database away has to be in the role, unless superuser
                # Whatever the locale of the server; a plain Debian has not the one that `verdi presto` asks for.
                f"CREATE DATABASE {name} OWNER {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
            ]
        )
        yield owner, secret
    except BaseException:
        with suppress(ValueError):  # what went wrong first is told
            administer([f"DROP DATABASE IF EXISTS {name}", f"DROP ROLE IF EXISTS {name}"])
        raise


def execute(
    server: dict[str, Any], user: str, password: str | None, statements: list[str], database: str = "postgres"
) -> None:
    """Execute SQL, each statement for itself, as a user of PostgreSQL."""
    import psycopg

    try:
        with psycopg.connect(
            **server, user=user, password=password, dbname=database, autocommit=True, connect_timeout=TIMEOUT_S
        ) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]
    except psycopg.Error as error:
        raise ValueError(
            f"PostgreSQL at {server['host']}:{server['port']} cannot be used as {user!r} ({_one_line(error)}); "
            "start it (Debian: `systemctl start postgresql`), or correct --postgres"
        ) from None


def execute_as_postgres(server: dict[str, Any], statements: list[str]) -> None:
    """Execute SQL as the system's user `postgres`, whom a Debian server trusts on its own machine."""
    instead = "name an administrator: --postgres postgresql://USER:PASSWORD@HOST:PORT"
    if not _is_here(server["host"]):
        raise ValueError(f"a database on {server['host']} is not made without one; {instead}")
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else ["sudo", "-u", "postgres"]
    words = [*become, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-p", str(server["port"]), "-d", "postgres"]
    try:
        # By standard input: everybody sees the words of a command.
        text = "".join(f"{statement};\n" for statement in statements)
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, cwd="/")
        why = _one_line(done.stderr) if done.returncode else ""
    except OSError as error:
        why = _one_line(error)
    if why:
        raise ValueError(f"the system's user postgres cannot make a database ({why}); start PostgreSQL, or {instead}")


def _storage(server: dict[str, Any], database: str, user: str, password: str) -> dict[str, Any]:
    return {
        "database_hostname": server["host"],
        "database_port": server["port"],
        "database_name": database,
        "database_username": user,
        "database_password": password,
    }


def _split(url: str, schemes: tuple[str, ...], wanted: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        usable = False
    if not usable:
        raise ValueError(wanted)
    return parts


def _is_here(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1", socket.gethostname())


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]
