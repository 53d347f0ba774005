"""A small standard output in the format of FHI-aims, made of single lines: for what no real file shows."""

from __future__ import annotations

OLD_HEADER = "          Version 171221_1\n          Compiled on 2019/05/06 at 14:26:40 on host somewhere.\n"
NEW_HEADER = "  FHI-aims version      : 240206\n  CMake version         : 3.28.3\n"

LEAVING = "          Leaving FHI-aims.\n"
NOT_CONVERGED = " * WARNING! SELF-CONSISTENCY CYCLE DID NOT CONVERGE\n"


def head(header: str = NEW_HEADER, control: str = "  xc pbe\n") -> str:
    return (
        "          Invoking FHI-aims ...\n"
        f"{header}"
        "  Using        4 parallel tasks.\n"
        "  Parsing control.in (first pass over file, find array dimensions only).\n"
        f"{control}"
        "  Completed first pass over input file control.in .\n"
        "  | Number of atoms                   :        1\n"
        "  | Number of spin channels           :        1\n"
        "  Input geometry:\n"
        "  | No unit cell requested.\n"
        "  | Atomic structure:\n"
        "  |       Atom                x [A]            y [A]            z [A]\n"
        "  |    1: Species O             0.00000000        0.00000000        0.62297800\n"
        "\n"
    )


def gap_block(gap: str = "1.25000000") -> str:
    return (
        "  Highest occupied state (VBM) at     -5.20034393 eV (relative to internal zero)\n"
        "  | K-point:       3 at    0.100000    0.000000    0.000000 (in units of recip. lattice)\n"
        "  Lowest unoccupied state (CBM) at    -4.98888285 eV (relative to internal zero)\n"
        "  | K-point:       1 at    0.000000    0.000000    0.000000 (in units of recip. lattice)\n"
        f"  ESTIMATED overall HOMO-LUMO gap:      {gap} eV between HOMO at k-point 3 and LUMO at k-point 1\n"
    )


def iteration(number: int) -> str:
    return (
        f"          Begin self-consistency iteration #{number:5d}\n"
        "  | Chemical potential (Fermi level):    -5.00245630 eV\n"
    ) + gap_block()


def cycle(converged: bool = True, n_iterations: int = 2, energy: str = "-0.158026474520444E+05") -> str:
    return (
        "          Begin self-consistency loop: Initialization.\n"
        + "".join(iteration(number) for number in range(1, n_iterations + 1))
        + ("  Self-consistency cycle converged.\n" if converged else "")
        + f"  | Total energy uncorrected      :         {energy} eV\n"
        + ("" if converged else NOT_CONVERGED)
    )


def relaxation_step(number: int) -> str:
    return cycle() + (
        "  Maximum force component is  0.477099E+00 eV/A.\n"
        "  Present geometry is not yet converged.\n"
        f"  Relaxation step number {number:6d}: Predicting new coordinates.\n"
    )
