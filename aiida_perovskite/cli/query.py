"""``aiida-perovskite query``: computed compounds by what was found for them."""

from __future__ import annotations

from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiida.cmdline.utils import echo

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.campaigns import campaign_group
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json, frame_records

if TYPE_CHECKING:
    import pandas as pd

    from aiida_perovskite.report.query import Filters

WINDOW: dict[str, Any] = {"nargs": 2, "type": float, "metavar": "MIN MAX"}


@cmd_root.command("query")
@click.option(
    "--gap", help="Window of the gap (HSE06 with spin-orbit coupling), eV; `inf` leaves a side open.", **WINDOW
)
@click.option("--stable", is_flag=True, help="Decomposition enthalpy above zero.")
@click.option("--enthalpy", help="Window of the decomposition enthalpy, meV/atom; positive is stable.", **WINDOW)
@click.option("--slme", help="Window of the efficiency, %.", **WINDOW)
@click.option(
    "--reaction",
    type=click.Choice(["binary", "hull"]),
    default="binary",
    show_default=True,
    help="Which enthalpy: into the binary compounds, or into the most favourable phases.",
)
@click.option("--relaxed", is_flag=True, help="Ask all this of the structure after the unconstrained relaxation.")
@click.option("--with", "contains", help="Elements that the compound contains, comma-separated.")
@click.option("--without", "excludes", help="Elements that it does not contain.")
@click.option(
    "--engine", "engines", multiple=True, metavar="[STEP=]NAME", help="Engine of the gap, or of STEP; may be repeated."
)
@click.option("--since", metavar="DATE", help="Begun on this day or later, e.g. 2026-11-27 or 2026-11-27T14:00.")
@click.option("-c", "--campaign", help="Of this campaign only.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Rows to print.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all rows and columns: .csv, .parquet.",
)
@JSON()
@clear_errors
def cmd_query(limit: int, output: Path | None, as_json: bool, **choices: Any) -> None:
    """Find computed compounds in the whole profile, whichever campaign computed them.

    All conditions that are given must hold. Where a quantity was not computed, no condition on it holds.

    \b
      aiida-perovskite query --gap 0.9 1.6 --stable --without Pb,Tl
      aiida-perovskite query --enthalpy -50 inf --reaction hull --engine aims --since 2026-11-01
      aiida-perovskite query -c halides -o halides.parquet
    """
    from aiida_perovskite.report.query import find_compounds

    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{output} ends neither in .csv nor in .parquet")
    whole = as_json or output is not None
    frame, found = find_compounds(read_filters(choices), None if whole else limit)
    if output is not None:
        write(frame, output)
    if as_json:
        echo_json(frame_records(frame.assign(date=[f"{date.isoformat(timespec='seconds')}" for date in frame["date"]])))
    elif output is not None:
        echo.echo_success(f"{len(frame)} rows written to {output}")
    elif len(frame):
        show(frame, found, choices["relaxed"])
    else:
        require_some()
        echo.echo_report("no computed compound fulfils all of this")


def read_filters(choices: dict[str, Any]) -> Filters:
    """Return the filters that the options stand for; ValueError for what does not exist or cannot be."""
    from aiida_perovskite.report.query import ENTHALPY, GAP, HULL_ENTHALPY, RELAXED, SLME, Filters

    if choices["campaign"] is not None:
        campaign_group(choices["campaign"])
    enthalpy = ENTHALPY if choices["reaction"] == "binary" else HULL_ENTHALPY
    windows = {column: choices[name] for name, column in (("gap", GAP), ("enthalpy", enthalpy), ("slme", SLME))}

    def column_of(column: str) -> str:
        return RELAXED[column] if choices["relaxed"] else column

    return Filters(
        windows={column_of(column): window for column, window in windows.items() if window is not None},
        above={column_of(enthalpy): 0.0} if choices["stable"] else {},
        contains=read_elements(choices["contains"]),
        excludes=read_elements(choices["excludes"]),
        engines=dict(read_engine(text) for text in choices["engines"]),
        since=read_date(choices["since"]),
        campaign=choices["campaign"],
    )


def read_elements(text: str | None) -> tuple[str, ...]:
    """Return the symbols that a text with commas names; ValueError for what is no element."""
    from aiida.common.constants import elements

    known = {element["symbol"] for element in elements.values()}
    found = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if unknown := [symbol for symbol in found if symbol not in known]:
        raise ValueError(f"{', '.join(unknown)} is no symbol of an element: write them as in Ag,Bi")
    return found


def read_engine(text: str) -> tuple[str, str]:
    """Return step and engine that a text such as ``relax=chgnet`` names; without a step it is the gap."""
    from aiida_perovskite.workflows.ports import STEPS

    step, found, engine = text.rpartition("=")
    step = step if found else "gap"
    if step not in STEPS or not engine:
        raise ValueError(f"--engine {text}: give NAME or STEP=NAME with a step of {', '.join(STEPS)}")
    return step, engine


def read_date(text: str | None) -> datetime | None:
    """Return a date, of this machine's time zone if the text names none; ValueError if it is none."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(f"--since {text}: write a date as 2026-11-27 or 2026-11-27T14:00") from None


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all."""
    from aiida_perovskite.report.write import write_bytes

    csv = path.suffix == ".csv"
    write_bytes(frame.to_csv(index=False).encode() if csv else frame.to_parquet(index=False), path)


def require_some() -> None:
    """Raise ValueError if nothing was computed in the whole profile."""
    from aiida_perovskite.report.query import Filters, matching

    if not matching(Filters()):
        raise ValueError("this profile holds no computed compound yet: `aiida-perovskite screen` computes some")


def show(frame: pd.DataFrame, found: int, relaxed: bool) -> None:
    """Print the columns that fit a terminal."""
    from aiida_perovskite.report.compounds import pretty
    from aiida_perovskite.report.query import ENTHALPY, GAP, HULL_ENTHALPY, RELAXED, SLME

    columns = {GAP: "Gap (eV)", ENTHALPY: "Enthalpy", HULL_ENTHALPY: "Hull", SLME: "SLME (%)"}
    digits = {GAP: ".2f", ENTHALPY: "+.0f", HULL_ENTHALPY: "+.0f", SLME: ".1f"}
    rows = [
        [
            pretty(row["formula"]),
            *[number(row.get(RELAXED[name] if relaxed else name), digits[name]) for name in columns],
            row["engine"] or "",
            row["campaign"],
            f"{row['date']:%Y-%m-%d}",
            row["process_pk"],
        ]
        for row in frame.to_dict("records")
    ]
    echo.echo_tabulate(
        rows, headers=["Compound", *columns.values(), "Engine", "Campaign", "Begun", "PK"], disable_numparse=True
    )
    more = f"; {found - len(frame)} more: --limit, or --output FILE" if found > len(frame) else ""
    echo.echo_report(f"{found} found; enthalpies in meV/atom, positive is stable{more}")


def number(value: float | None, form: str) -> str:
    """Return a number as text, a dash where there is none."""
    return "–" if value is None or value != value or abs(value) == inf else format(value, form)
