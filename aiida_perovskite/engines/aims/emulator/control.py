"""``control.in`` as the emulator understands it, refused where FHI-aims would refuse it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from aiida_perovskite.engines.aims.emulator.errors import AbortRun

SEMILOCAL = frozenset({"pw-lda", "pz-lda", "vwn", "pbe", "pbesol", "rpbe", "revpbe", "am05", "blyp", "tpss", "scan"})
HYBRIDS = frozenset({"hse06", "hse03", "pbe0", "pbesol0", "b3lyp", "hf"})

_GLOBAL_TEXT = """
    xc hse_unit hybrid_xc_coeff relativistic spin default_initial_moment fixed_spin_moment charge include_spin_orbit
    k_grid k_offset k_grid_density symmetry_reduced_k_grid occupation_type occupation_acc empty_states mixer n_max_pulay
    charge_mix_param spin_mix_param ini_linear_mixing ini_linear_mix_param preconditioner precondition_max_l
    sc_accuracy_rho sc_accuracy_eev sc_accuracy_etot sc_accuracy_forces sc_accuracy_stress sc_iter_limit sc_init_iter
    sc_init_factor adjust_scf relax_geometry relax_unit_cell max_relaxation_steps init_hess harmonic_length_scale
    energy_tolerance max_atomic_move restart_relaxations write_restart_geometry hessian_to_restart_geometry
    external_pressure compute_forces compute_analytical_stress compute_numerical_stress final_forces_cleaned
    clean_forces exx_band_structure_version compute_dielectric dielectric_broadening compute_absorption
    compute_momentummatrix output output_level elsi_restart restart restart_read_only restart_write_only
    density_update_method KS_method elsi_elpa_solver elsi_solver use_local_index load_balancing basis_threshold
    override_illconditioning RI_method coulomb_threshold screening_threshold use_logsbt prodbas_threshold
    vdw_correction_hirshfeld vdw_correction_hirshfeld_alkali many_body_dispersion many_body_dispersion_nl
    use_dipole_correction evaluate_work_function postprocess_anyway check_stacksize collect_eigenvectors
    packed_matrix_format distributed_spline_storage wave_threshold hartree_convergence_parameter partition_type
    multip_moments_threshold points_in_batch batch_size_limit prune_basis_once communication_type verbatim_writeout
    calculate_all_eigenstates dos_kgrid_factors use_symmetric_forces walltime plus_u_petukhov_mixing
    plus_u_matrix_control plus_u_use_hydros force_potential sc_init total_energy_method frozen_core_scf
    number_of_cpu_cores_per_node
"""
_SPECIES_TEXT = """
    nucleus mass element l_hartree cut_pot basis_dep_cutoff radial_base radial_multiplier angular_grids division
    outer_grid angular angular_acc angular_min valence ion_occ hydro ionic confined gaussian sto for_aux
    include_min_basis pure_gauss cutoff_type cut_free_atom cut_core cut_atomic_basis basis_acc innermost_max logarithmic
    max_n_prodbas max_l_prodbas prodbas_acc plus_u core core_states prodbas_threshold species_charge
"""
_OUTPUTS_TEXT = """
    band band_mulliken dos dos_tetrahedron atom_proj_dos species_proj_dos atom_proj_dos_tetrahedron
    species_proj_dos_tetrahedron dielectric mulliken hirshfeld esp cube k_eigenvalue k_point_list eigenvectors
    density basis matrices hamiltonian_matrix overlap_matrix json_log on-site_integrals memory_tracking
    rrs_pbc realspace_esp postscf_eigenvalues zora_eigenvalues self_energy friction_matrices
"""
_GLOBAL = frozenset(_GLOBAL_TEXT.split())
_SPECIES = frozenset(_SPECIES_TEXT.split())
_OUTPUTS = frozenset(_OUTPUTS_TEXT.split())
_REPEATABLE = frozenset({"output", "compute_absorption", "species"})


@dataclass(frozen=True)
class Species:
    """A species block: its name and the charge of its nucleus."""

    name: str
    nucleus: int


@dataclass(frozen=True)
class Segment:
    """A straight line of bands between two points in fractions of the reciprocal vectors."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    n_points: int


@dataclass(frozen=True)
class Control:
    """What a ``control.in`` asks for.

    Attributes
    ----------
    words
        The words behind each global keyword (of the last line, for keywords that may be repeated).
    outputs
        The words behind each ``output`` keyword.
    species
        By name.
    """

    words: dict[str, list[str]] = field(default_factory=dict)
    outputs: list[list[str]] = field(default_factory=list)
    species: dict[str, Species] = field(default_factory=dict)

    @property
    def xc(self) -> str:
        """Name of the functional."""
        return self.words["xc"][0]

    @property
    def hybrid(self) -> bool:
        """Whether the functional has exact exchange."""
        return self.xc in HYBRIDS

    @property
    def collinear(self) -> bool:
        """Whether there are two spin channels."""
        return self.words.get("spin", ["none"])[0] == "collinear"

    @property
    def spin_orbit(self) -> bool:
        """Whether spin-orbit coupling is asked for."""
        return "include_spin_orbit" in self.words

    @property
    def relax(self) -> bool:
        """Whether the geometry is relaxed."""
        return self.words.get("relax_geometry", ["none"])[0] != "none"

    @property
    def max_force(self) -> float:
        """Convergence criterion of the relaxation (eV/Angstrom)."""
        words = self.words["relax_geometry"]
        return float(words[1]) if len(words) > 1 else 1e-2

    @property
    def k_grid(self) -> tuple[int, int, int]:
        """Divisions of the k-point grid; one point where there is none."""
        a, b, c = (int(word) for word in self.words.get("k_grid", ["1", "1", "1"]))
        return a, b, c

    @property
    def restart_words(self) -> list[str]:
        """Words behind ``elsi_restart``."""
        return self.words.get("elsi_restart", [""])

    @property
    def segments(self) -> list[Segment]:
        """The band segments that are asked for."""
        found = []
        for words in self.outputs:
            if words[0] == "band":
                a, b, c, d, e, f = (float(word) for word in words[1:7])
                found.append(Segment((a, b, c), (d, e, f), int(words[7])))
        return found

    @property
    def dielectric(self) -> tuple[float, int] | None:
        """Last energy (eV) and number of points of the dielectric function, if it is asked for."""
        words = self.words.get("compute_dielectric")
        return None if words is None else (float(words[0]), int(words[1]))

    @property
    def broadening(self) -> tuple[str, float]:
        """Kind (``gaussian`` or ``lorentzian``) and width (eV) of the dielectric broadening."""
        asked = [words[1:3] for words in self.outputs if words[0] == "dielectric"]
        words = self.words.get("dielectric_broadening") or (asked[0] if asked else ["lorentzian", "0.1"])
        return words[0], float(words[1])

    def number(self, keyword: str, default: float) -> float:
        """Return the last word behind a keyword as a number."""
        return float(self.words[keyword][-1]) if keyword in self.words else default


def read_control(text: str) -> Control:
    """Return what a ``control.in`` asks for.

    Raises
    ------
    AbortRun
        At an unknown or repeated keyword, a value that the keyword does not take, or a species block without nucleus.
    """
    control = Control()
    block: str | None = None
    nuclei: dict[str, int | None] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        keyword, values = words[0], words[1:]
        if keyword == "species":
            _require(keyword, values, len(values) == 1)
            block = values[0]
            if block in nuclei:
                raise AbortRun(f"Species {block} is defined twice in control.in.")
            nuclei[block] = None
        elif block is not None and keyword in _SPECIES:
            if keyword == "nucleus":
                _require(keyword, values, len(values) == 1 and _is_number(values[0]) and 1 <= float(values[0]) <= 118)
                nuclei[block] = round(float(values[0]))
        elif keyword in _GLOBAL:
            _take_global(control, keyword, values)
        elif keyword in _SPECIES:
            raise AbortRun(f"Keyword '{keyword}' stands outside of a species block in control.in.")
        else:
            raise AbortRun(f"Unknown keyword '{keyword}' in input file control.in.")
    for name, nucleus in nuclei.items():
        if nucleus is None:
            raise AbortRun(f"Species {name}: no 'nucleus' in its block of control.in.")
        control.species[name] = Species(name, nucleus)
    _check_whole(control)
    return control


def _take_global(control: Control, keyword: str, values: list[str]) -> None:
    if keyword in control.words and keyword not in _REPEATABLE:
        raise AbortRun(f"Keyword '{keyword}' is given twice in control.in.")
    if keyword in _CHECKS:
        _require(keyword, values, _CHECKS[keyword](values))
    control.words[keyword] = values
    if keyword == "output":
        _check_output(values)
        control.outputs.append(values)


def _check_output(values: list[str]) -> None:
    _require("output", values, bool(values) and values[0] in _OUTPUTS)
    kind, rest = values[0], values[1:]
    if kind in ("band", "band_mulliken"):
        _require("output", values, len(rest) >= 7 and _numbers(rest[:6]) and rest[6].isdigit() and int(rest[6]) >= 2)
    elif kind in ("dos", "atom_proj_dos", "species_proj_dos"):
        _require("output", values, len(rest) >= 4 and _numbers(rest[:4]) and int(float(rest[2])) >= 2)
    elif kind == "dielectric":
        _require("output", values, len(rest) == 4 and _is_broadening(rest[:2]) and set(rest[2:]) <= set("xyz"))


def _check_whole(control: Control) -> None:
    if "xc" not in control.words:
        raise AbortRun("No exchange-correlation functional ('xc') is given in control.in.")
    if control.xc in ("hse06", "hse03") and "hse_unit" not in control.words:
        raise AbortRun("The HSE functional needs the keyword 'hse_unit' in control.in.")
    if not control.species:
        raise AbortRun("No species is defined in control.in.")
    cell = control.words.get("relax_unit_cell", ["none"])[0]
    if cell != "none" and not control.relax:
        raise AbortRun("Keyword 'relax_unit_cell' needs 'relax_geometry' in control.in.")


def _require(keyword: str, values: list[str], good: bool) -> None:
    if not good:
        raise AbortRun(f"Syntax error in control.in: keyword '{keyword}' does not take '{' '.join(values)}'.")


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _numbers(words: list[str]) -> bool:
    return all(_is_number(word) for word in words)


def _positive(values: list[str]) -> bool:
    return len(values) == 1 and _is_number(values[0]) and float(values[0]) > 0


def _one_of(*allowed: str) -> Callable[[list[str]], bool]:
    return lambda values: len(values) == 1 and values[0] in allowed


def _is_broadening(values: list[str]) -> bool:
    return len(values) == 2 and values[0] in ("gaussian", "lorentzian") and _positive(values[1:])


def _is_xc(values: list[str]) -> bool:
    if not values or values[0] not in SEMILOCAL | HYBRIDS:
        return False
    return len(values) == 1 if values[0] not in ("hse06", "hse03") else len(values) == 2 and _positive(values[1:])


def _is_k_grid(values: list[str]) -> bool:
    return len(values) == 3 and all(word.isdigit() and int(word) > 0 for word in values)


_ALGORITHMS = ("trm", "trm_2012", "bfgs", "bfgs_textbook", "lattice_trm")

_CHECKS: dict[str, Callable[[list[str]], bool]] = {
    "xc": _is_xc,
    "hse_unit": lambda v: len(v) == 1 and v[0][:1].lower() in ("a", "b"),
    "spin": _one_of("none", "collinear"),
    "relativistic": lambda v: v in (["none"], ["atomic_zora", "scalar"]) or (len(v) >= 2 and v[0] == "zora"),
    "include_spin_orbit": lambda v: v in ([], ["non_self_consistent"]),
    "default_initial_moment": lambda v: len(v) == 1 and (_is_number(v[0]) or v[0] == "hund"),
    "k_grid": _is_k_grid,
    "sc_accuracy_rho": _positive,
    "sc_accuracy_etot": _positive,
    "sc_accuracy_eev": _positive,
    "sc_accuracy_forces": lambda v: v == ["not_checked"] or _positive(v),
    "sc_iter_limit": lambda v: _positive(v) and v[0].isdigit(),
    "charge_mix_param": _positive,
    "occupation_type": lambda v: (
        len(v) >= 2 and v[0] in ("gaussian", "fermi", "methfessel-paxton") and _positive(v[1:2])
    ),
    "relax_geometry": lambda v: v == ["none"] or (1 <= len(v) <= 2 and v[0] in _ALGORITHMS and _numbers(v[1:])),
    "relax_unit_cell": _one_of("none", "full", "fixed_angles"),
    "max_relaxation_steps": lambda v: len(v) == 1 and v[0].isdigit(),
    "exx_band_structure_version": _one_of("1", "2"),
    "compute_dielectric": lambda v: len(v) == 2 and _positive(v[:1]) and v[1].isdigit() and int(v[1]) > 1,
    "dielectric_broadening": _is_broadening,
    "elsi_restart": lambda v: v == ["read"] or (len(v) == 2 and v[0] in ("write", "read_and_write") and v[1].isdigit()),
}
