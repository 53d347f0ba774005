"""``aiida-perovskite predict``: gaps of formulas, in one line each."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_perovskite.cli import cmd_root
from aiida_perovskite.cli.common import JSON, clear_errors, echo_json, frame_records, latest_model


@cmd_root.command("predict")
@click.argument("formulas", nargs=-1, required=True, metavar="FORMULA...")
@click.option(
    "-m", "--model", "identifier", help="Identifier of a trained model; the newest of the profile if not given."
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with model.safetensors and model.json instead of a node.",
)
@click.option("--confidence", type=click.FloatRange(0.5, 0.99), default=0.9, show_default=True, help="Of the interval.")
@JSON()
@clear_errors
def cmd_predict(
    formulas: tuple[str, ...], identifier: str | None, checkpoint: Path | None, confidence: float, as_json: bool
) -> None:
    """Predict band gaps: value, interval, and whether the compound lies in the model's domain.

    \b
      aiida-perovskite predict Cs2AgBiBr6 Cs2AgInCl6
    """
    from aiida_perovskite.chemistry import Composition
    from aiida_perovskite.learning.gap_model import GapModel

    compositions = [Composition.parse(formula) for formula in formulas]
    if checkpoint is not None:
        model = GapModel.load(checkpoint / "model.safetensors", checkpoint / "model.json")
    else:
        model = latest_model(identifier).load_gap_model()
    table = model.predict([c.formula for c in compositions], confidence=confidence)
    if as_json:
        echo_json(frame_records(table))
        return
    for composition, row in zip(compositions, table.itertuples(), strict=True):
        domain = "in the model's domain" if row.in_domain else "OUTSIDE the model's domain: do not rely on it"
        click.echo(
            f"{composition.pretty}: {row.gap_ev:.2f} eV "
            f"({confidence:.0%} interval {row.lower_ev:.2f} to {row.upper_ev:.2f} eV), {domain}"
        )
