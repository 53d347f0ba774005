"""The figure of a crystal structure."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from aiida_perovskite.report.compounds import roles
from aiida_perovskite.report.contents import Structure
from aiida_perovskite.report.plot import BLUE, ORANGE, Figure, figure_of


def structure(crystal: Structure) -> Figure:
    """Draw the conventional cell with the octahedra around A and B, to be turned by hand.

    The cell starts a quarter of its diagonal before A, so that the eight octahedra of one cell are whole. Of C only
    the atoms in the centre and on the faces are drawn: those on the edges would hide the octahedra.
    """
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    atoms = _conventional(crystal)
    a, b, c, d = roles(crystal)
    data: list[Any] = []
    for symbol, colour in ((a, BLUE), (b, ORANGE)):
        data.append(_octahedra(atoms[symbol], atoms[d], symbol, d, colour))
    anions = _near(atoms[d], np.vstack([atoms[a], atoms[b]]))
    for symbol, points in ((a, atoms[a]), (b, atoms[b]), (c, atoms[c]), (d, anions)):
        number = atomic_numbers[symbol]
        red, green, blue = (int(255 * part) for part in jmol_colors[number])
        data.append(
            {
                "type": "scatter3d",
                "mode": "markers",
                "name": symbol,
                "hovertemplate": f"{symbol}<extra></extra>",
                "x": points[:, 0].round(3).tolist(),
                "y": points[:, 1].round(3).tolist(),
                "z": points[:, 2].round(3).tolist(),
                "marker": {
                    "size": round(4 * float(covalent_radii[number]) + 2, 1),
                    "color": f"rgb({red},{green},{blue})",
                    "line": {"color": "rgba(60,60,60,0.8)", "width": 1},
                },
            }
        )
    hidden = {"visible": False}
    camera = {"eye": {"x": 1.5, "y": 0.75, "z": 0.5}}
    scene = {"xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "data", "camera": camera}
    return figure_of(
        data, scene=scene, legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "itemsizing": "constant"}
    )


def _conventional(crystal: Structure) -> dict[str, np.ndarray]:
    """Return the atoms of one cubic cell around A and B by element, and the anions of a wider surrounding."""
    primitive = crystal.cell.values
    cubic = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) @ primitive
    a, _, c, d = roles(crystal)
    origin = crystal.positions.values[crystal.symbols.index(a)]
    shifts = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ primitive
    found: dict[str, list[np.ndarray]] = {}
    for symbol, position in zip(crystal.symbols, crystal.positions.values, strict=True):
        images = position - origin + shifts
        fractions = images @ np.linalg.inv(cubic)
        margin = 0.3 if symbol == d else 0.02
        inside = np.all((fractions > -0.25 - margin) & (fractions < 0.75 + margin), axis=1)
        if symbol == c:
            inside &= (np.abs(fractions - 0.25) > 0.48).sum(axis=1) <= 1
        found.setdefault(symbol, []).append(images[inside])
    return {symbol: np.vstack(parts) for symbol, parts in found.items()}


def _near(anions: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the six anions nearest to each centre, each once."""
    distances = np.linalg.norm(anions[None] - centres[:, None], axis=-1)
    chosen: np.ndarray = anions[np.unique(np.argsort(distances, axis=1)[:, :6])]
    return chosen


def _octahedra(centres: np.ndarray, anions: np.ndarray, cation: str, anion: str, colour: str) -> Figure:
    points: list[np.ndarray] = []
    faces: list[tuple[int, int, int]] = []
    for centre in centres:
        corners = anions[np.argsort(np.linalg.norm(anions - centre, axis=1))[:6]] - centre
        opposite = np.argmin(corners @ corners.T, axis=1)
        pairs = sorted({tuple(sorted((i, int(j)))) for i, j in enumerate(opposite)})
        if len(pairs) != 3:  # too distorted to be drawn as an octahedron
            continue
        start = len(points)
        faces += [tuple(start + i for i in face) for face in itertools.product(*pairs)]  # type: ignore[misc]
        points += list(corners + centre)
    grid = np.array(points).reshape(-1, 3).round(3)
    i, j, k = np.array(faces, dtype=int).reshape(-1, 3).T
    return {
        "type": "mesh3d",
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "z": grid[:, 2].tolist(),
        "i": i.tolist(),
        "j": j.tolist(),
        "k": k.tolist(),
        "color": colour,
        "opacity": 0.55,
        "flatshading": True,
        "hoverinfo": "skip",
        "name": f"{cation}{anion}6 octahedra",
        "showlegend": True,
    }
