"""``aiida-perovskite``: the command line of the package.

Heavy libraries are imported inside the commands, so that ``--help`` and shell completion answer at once.
"""

from __future__ import annotations

import logging

import click
from aiida.cmdline.groups import VerdiCommandGroup
from aiida.cmdline.params import options, types

from aiida_perovskite import __version__


@click.group("aiida-perovskite", cls=VerdiCommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@options.PROFILE(type=types.ProfileParamType(load_profile=True), expose_value=False)
@click.version_option(__version__, package_name="aiida-perovskite")
def cmd_root() -> None:
    """Screen double perovskites ABC2D6: from a trained network to computed gaps, every number traceable.

    A first campaign, from nothing to a report:

    \b
      aiida-perovskite setup profile          a profile with codes for this machine
      aiida-perovskite screen --dry-run       what would be done
      aiida-perovskite screen -c mine         train, predict, select, compute
      aiida-perovskite campaign report mine   one HTML file

    Why gaps are what they are: `interpret` trains networks that explain them, `explain` asks these about a compound.
    Where a number is from: `trace`. Which computed compounds suit: `query`. A campaign for others: `export`, `import`.
    Whether everything is there that a campaign needs: `doctor`.

    Shell completion (bash): eval "$(_AIIDA_PEROVSKITE_COMPLETE=bash_source aiida-perovskite)"
    """
    # Tables are printed through a logger of AiiDA, which would answer a closed pipe by a traceback and go on.
    logging.raiseExceptions = False


from aiida_perovskite.cli import (  # noqa: E402  attach commands
    archive,  # noqa: F401
    benchmark,  # noqa: F401
    campaign,  # noqa: F401
    doctor,  # noqa: F401
    explain,  # noqa: F401
    generate,  # noqa: F401
    generative_studies,  # noqa: F401
    interpret,  # noqa: F401
    phases,  # noqa: F401
    predict,  # noqa: F401
    query,  # noqa: F401
    screen,  # noqa: F401
    setup,  # noqa: F401
    setup_aims,  # noqa: F401
    setup_production,  # noqa: F401
    setup_species,  # noqa: F401
    space,  # noqa: F401
    trace,  # noqa: F401
    train,  # noqa: F401
)
