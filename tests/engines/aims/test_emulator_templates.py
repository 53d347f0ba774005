"""The emulator's lines against those of real outputs.

A template is a line with its numbers and species names replaced by placeholders. Echoed input is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from engines.aims.emulated import BASICS, OPTICS, PATH, PBE, RELAX, SOC, SYMMETRY, perovskite, run, species

from aiida_perovskite.engines.aims.collector import _COUNTS, _ENERGIES, _HANDLERS
from aiida_perovskite.engines.aims.emulator.report import LABEL

_SPECIES = re.compile(
    r"(?<=configuration options for species )\w+|(?<=for species )\w+(?= to file)|(?<=: Species )\w+|(?<=to file )\S+|"
    r"\b[A-Z][a-z]?$"
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")
_UUID = re.compile(r"(?<=aims_uuid : )\S+")

# Lines that no real output at hand holds, each with the reason why the emulator has it all the same.
ALLOWED = {
    "* Error: {text}": "no real output at hand was refused its input; the reader knows the form",
    "* Aborting.": "the same",
    "Aborting optimization.": "no real relaxation at hand ran into a limit; users report these words",
    "Maximum number of relaxation steps reached: #": "the same",
    "The optimizer finds no direction that lowers the energy.": "the same",
    "File abort_opt found.": "no real output at hand was stopped so",
    "File abort_scf found: the self-consistency cycle stops here.": "the same",
    "Hessian of the last relaxation read from file 'hessian.aims'.": "none at hand was restarted with one",
    "| Current stacksize for task #: # KB": "all real outputs say unlimited",
    "| This appears to be a direct band gap.": "all real gaps at hand are indirect",
    "Calculating species-projected density of states ...": "no real output at hand projects on species",
    "slurmstepd: error: Detected # oom-kill event(s) in StepId=# (aims-emulator on demand).": "a machine's message",
    "= RANK # PID # RUNNING AT aims-emulator": "says that it is emulated",
    "Commit number : none, this is aims-emulator": "says that it is emulated",
    "FHI-aims version : #-emulator": "says that it is emulated",
    "Version #_#-emulator": "says that it is emulated",
    f"*** Warning: {LABEL}": "says that it is emulated",
}


def templates(text: str) -> set[str]:
    found, echoed = set(), False
    for line in text.splitlines():
        if line.startswith("  Parsing ") and "first pass" in line:
            echoed = True
        elif line.startswith("  Completed first pass"):
            echoed = False
        if not echoed:
            found.add(template(line))
    return found - {""}


def template(line: str) -> str:
    line = line.rstrip()
    if line.startswith(" * Error: "):
        return "* Error: {text}"
    line = _UUID.sub("X", _SPECIES.sub("X", line))
    return " ".join(_NUMBER.sub("#", line).split())


@pytest.fixture(scope="module")
def real_templates(shared_folder: Path) -> set[str]:
    names = ("aims.out", "aims_CC.out", "calculation.out", "out.out", "output", "Fe_band_structure_dos_spin.out")
    paths = [path for name in names for path in sorted((shared_folder / "aims-outputs").glob(f"*/{name}"))]
    assert len(paths) > 10
    # The version's header of real files carries no label: compared as such.
    return {line for path in paths for line in templates(path.read_text(errors="replace"))}


@pytest.fixture(scope="module")
def emulated_templates(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("emulated")
    dos = "output dos -14 2 101 0.1\noutput atom_proj_dos -14 2 101 0.1\noutput species_proj_dos -14 2 101 0.1\n"
    restart = "elsi_restart read_and_write 10\n"
    constrained = perovskite() + SYMMETRY
    direct = perovskite(elements=("Cs", "Cu", "In", "Cl"))
    direct = direct.replace("Cu\n", "Cu\ninitial_moment 2.0\n")
    found: set[str] = set()
    for version in ("171221_1", "240507"):
        for keywords, geometry, blocks, failure in (
            (BASICS + RELAX + restart, constrained, None, ""),
            (BASICS + SOC + PATH + OPTICS + dos + restart, None, None, ""),
            (PBE + PATH + dos + "spin none\n", None, None, ""),
            (PBE.replace("pbe", "pbesol") + "spin collinear\n" + dos, direct, species("Cs", "Cu", "In", "Cl"), ""),
            (PBE, perovskite(elements=("Cs", "Na", "Fe", "Br")), species("Cs", "Na", "Fe", "Br"), ""),
            (PBE + "sc_iter_limit 15\n", None, None, "scf"),
            (PBE + RELAX, constrained, None, "geometry@2"),
            (PBE + RELAX, constrained, None, "optimizer@1"),
            (PBE, None, None, "oom@1"),
            (PBE, None, None, "stacksize"),
            (PBE + "nonsense 3\n", None, None, ""),
        ):
            run(folder, keywords, geometry, blocks, VERSION=version, FAIL=failure)
            found |= templates((folder / "aims.out").read_text())
    return found


def relied_on(line: str) -> bool:
    """Whether the reader takes something from a line of this form."""
    content = line.removeprefix("| ")
    return line[:4] in _HANDLERS or content.partition(":")[0].strip() in {*_COUNTS, *_ENERGIES}


def test_every_line_has_a_real_counterpart(emulated_templates: set[str], real_templates: set[str]) -> None:
    uncovered = sorted(emulated_templates - real_templates)
    print(f"{len(emulated_templates)} templates, not in real files:", *uncovered, sep="\n")
    assert set(uncovered) <= set(ALLOWED)


def test_allowed_lines_are_needed(emulated_templates: set[str], real_templates: set[str]) -> None:
    never_written = {line for line in ALLOWED if "abort_" in line or "Hessian" in line}
    assert set(ALLOWED) - never_written <= emulated_templates - real_templates


def test_most_lines_that_the_reader_relies_on_are_emulated(
    emulated_templates: set[str], real_templates: set[str]
) -> None:
    known = {line[:4] for line in real_templates & emulated_templates if relied_on(line)}
    # Output level MD_light ("SCF  1 : ...") and the gap of a molecule are real, but not emulated here.
    missing = {key for key in _HANDLERS if any(line.startswith(key) for line in real_templates)} - known
    assert missing <= {"SCF ", "Over", "Vers", "FHI-", "* Wa", "* Ab", "Abor", "*** "}


def test_digits_stand_in_the_real_columns(tmp_path: Path, shared_folder: Path) -> None:
    """Widths of fields, which templates do not see, in a line of each kind that the reader relies on."""
    run(tmp_path, BASICS + RELAX, perovskite() + SYMMETRY)
    emulated = (tmp_path / "aims.out").read_text()
    real = (shared_folder / "aims-outputs" / "relax_si" / "aims.out").read_text()
    for pattern in (
        r"^  \| Total energy uncorrected      :.*eV$",
        r"^  \| Electronic free energy        :.*E.* eV$",
        r"^  Highest occupied state .*$",
        r"^  Lowest unoccupied state .*$",
        r"^  \| K-point:.*$",
        r"^  ESTIMATED overall HOMO-LUMO gap:.*eV",
        r"^  \| Chemical potential \(Fermi level\):.*$",
        r"^  Maximum force component is.*$",
        r"^  \| Change of charge density      :.*$",
        r"^          Begin self-consistency iteration #.*$",
        r"^            atom .*\d(?=  \w+$)",
        r"^  lattice_vector         [ -]?\d.*$",
        r"^  \|    1   .*$",
        r"^  \| Number of atoms  .*$",
        r"^  Relaxation step number.*$",
        r"^  \| Chemical Potential    .*$",
    ):
        widths = [{len(line) for line in re.findall(pattern, text, re.MULTILINE)} for text in (emulated, real)]
        assert widths[0], pattern
        assert widths[0] <= widths[1], (pattern, widths)


def test_files_have_the_real_columns(tmp_path: Path, shared_folder: Path) -> None:
    run(tmp_path, BASICS + SOC + PATH)
    run(tmp_path, BASICS + OPTICS)
    real = shared_folder / "aims-outputs"
    for emulated, genuine in (
        ("band1001.out", "ge_soc_bands/band1001.out"),
        ("band1001.out.no_soc", "ge_soc_bands/band1001.out.no_soc"),
        ("absorption_Gaussian_0.0500_x_x.out", "dielectric_k12/absorption_Gaussian_0.1000_x_x.out"),
        ("dielectric_function_Gaussian_0.0500_x_x.out", "dielectric_k12/dielectric_function_Gaussian_0.1000_x_x.out"),
    ):
        ends = [
            [match.end() for match in re.finditer(r"\S+", path.read_text().splitlines()[-1])][:7]
            for path in (tmp_path / emulated, real / genuine)
        ]
        assert ends[0] == ends[1], emulated
