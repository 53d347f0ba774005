"""``aiida-perovskite setup production``: a profile on PostgreSQL and RabbitMQ."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli.common import clear_errors
from aiida_perovskite.cli.setup import cmd_setup, complete_profile

if TYPE_CHECKING:
    from aiida.manage.configuration.profile import Profile

STORAGE, BROKER = "core.psql_dos", "core.rabbitmq"


@cmd_setup.command("production")
@click.argument("name", default="production")
@click.option(
    "--postgres",
    default="postgresql://127.0.0.1:5432",
    show_default=True,
    envvar="AIIDA_PEROVSKITE_POSTGRES",
    show_envvar=True,
    metavar="URL",
    help="postgresql://USER:PASSWORD@HOST:PORT/DATABASE to use a database that is there; without DATABASE one is made "
    "by USER; without USER by the system's user `postgres`.",
)
@click.option(
    "--rabbitmq",
    default="amqp://guest:guest@127.0.0.1:5672",
    show_default=True,
    envvar="AIIDA_PEROVSKITE_RABBITMQ",
    show_envvar=True,
    metavar="URL",
    help="amqp://USER:PASSWORD@HOST:PORT/VIRTUAL_HOST",
)
@clear_errors
def cmd_production(name: str, postgres: str, rabbitmq: str) -> None:
    """Make a profile on PostgreSQL and RabbitMQ, for several daemon workers and years of data.

    Database and its user are made, the broker is tried, and this machine's engines become codes. If the profile exists
    it is completed, and keeps its servers. The variables keep passwords out of the history of the shell.

    \b
      aiida-perovskite setup production lab
      aiida-perovskite setup production lab --postgres postgresql://me:secret@db.example.org/lab
    """
    from aiida.manage.configuration import get_config

    from aiida_perovskite.cli.servers import LONG_ENOUGH_S, check_rabbitmq, consumer_timeout_s, rabbitmq_config

    config = get_config(create=True)
    known = config.get_profile(name) if name in config.profile_names else None
    if known is not None and (known.storage_backend, known.process_control_backend) != (STORAGE, BROKER):
        raise ValueError(f"profile {name!r} exists on {known.storage_backend}; give the new one another name")
    broker = rabbitmq_config(rabbitmq) if known is None else known.process_control_config
    check_rabbitmq(broker)
    if known is None:
        _create_profile(name, postgres, broker)
        config = get_config()
    if (consumer_timeout_s(broker["broker_host"]) or 0.0) >= LONG_ENOUGH_S:
        # AiiDA warns of every newer RabbitMQ, since by default it takes long tasks away; this one does not.
        config.set_option("warnings.rabbitmq_version", False, scope=name)
    complete_profile(name)
    _tell(config.get_profile(name))


def _create_profile(name: str, postgres: str, broker: dict[str, Any]) -> None:
    from aiida.manage import get_manager
    from aiida.manage.configuration import get_config, profile_context
    from aiida.orm import User

    from aiida_perovskite.cli.servers import names_database, postgres_storage

    config = get_config()
    folder = Path(config.dirpath) / "repository" / name
    there = folder.exists()
    if there and not names_database(postgres):  # AiiDA would empty it
        raise ValueError(f"{folder} holds files of a profile that is gone; move it away, or choose another name")
    try:
        with postgres_storage(postgres, name) as storage:
            files = {"repository_uri": folder.as_uri()}
            profile = config.create_profile(name, STORAGE, {**storage, **files}, BROKER, broker)
            with profile_context(profile, allow_switch=True):
                # A database that was restored from a backup has its user.
                user = User.collection.query().first(flat=True) or User(email="aiida@localhost").store()
                get_manager().set_default_user_email(profile, user.email)
    except BaseException:
        if name in config.profile_names:
            config.remove_profile(name)
            config.store()
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    config.set_default_profile(name, overwrite=False)
    config.store()


def _tell(profile: Profile) -> None:
    """Say where things lie, and what `doctor` would say of the broker."""
    from aiida_perovskite.cli.diagnosis import OK, broker_finding

    storage = profile.storage_config
    where = f"{storage['database_hostname']}:{storage['database_port']}"
    echo.echo_report(f"database {storage['database_name']!r} at {where}, files in {storage['repository_uri']}")
    broker = broker_finding()
    if broker.state == OK:
        echo.echo_report(broker.message)
    else:
        echo.echo_warning(f"{broker.message}: {broker.remedy}")
