"""``aiida-perovskite space``: list compositions and their descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json, frame_records


@cmd_root.command("space")
@click.option("--preset", type=click.Choice(["halide"]), default="halide", show_default=True, help="A named space.")
@click.option(
    "--ab", "ab_elements", help="Elements of the A and B sites, comma-separated (with --c-site and --d-site)."
)
@click.option("--c-site", "c_elements", help="Elements of the C site.")
@click.option("--d-site", "d_elements", help="Elements of the D site.")
@click.option("--charge-balanced", is_flag=True, help="Only compounds with neutral oxidation states.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to print.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to this CSV.")
@JSON()
@clear_errors
def cmd_space(
    preset: str, limit: int, charge_balanced: bool, output: Path | None, as_json: bool, **sites: str | None
) -> None:
    """List a space of compositions: charges, octahedral, Goldschmidt and Bartel factors.

    \b
      aiida-perovskite space                                     the 7,056 halides
      aiida-perovskite space --ab Ag,Bi,In --c-site Cs --d-site Cl,Br
    """
    import pandas as pd

    from aiida_perovskite.chemistry import describe, space_from_settings

    settings: dict[str, Any] = {"preset": preset}
    given = {key: value.split(",") for key, value in sites.items() if value}
    if given:
        settings = given
    frame = pd.DataFrame(describe(space_from_settings(settings)))
    if charge_balanced:
        frame = frame[frame["charge_balanced"]]
    if output is not None:
        frame.to_csv(output, index=False)
        echo.echo_success(f"{len(frame)} compositions written to {output}")
    elif as_json:
        echo_json(frame_records(frame))
    else:
        click.echo(frame.head(limit).to_string(index=False, float_format="{:.3f}".format))
        echo.echo_report(f"{min(limit, len(frame))} of {len(frame)} compositions; --output FILE writes all of them")
