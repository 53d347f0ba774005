"""What the real outputs of FHI-aims print, typed from the files; for the tests and for the comparison of readers."""

from __future__ import annotations

from typing import Any

GAMMA = (0.0, 0.0, 0.0)

# name: file, status, version, "Total energy uncorrected", gap, VBM k-point, CBM k-point, direct gap and where; typed
# from the files.
REAL: dict[str, tuple[Any, ...]] = {
    "bands_si": ("aims.out", "finished", "230522", "-0.158026474520444E+05", 0.64065312, GAMMA, (0, 0.625, 0.625),
                 2.56590343, GAMMA),
    "dielectric_k12": ("aims.out", "finished", "201122", "-0.158026577665712E+05", 0.63654289, GAMMA,
                       (0, 0.416667, 0.416667), 2.55678891, GAMMA),
    "dielectric_omega5": ("aims.out", "finished", "201122", "-0.158026577665712E+05", 0.63654289, GAMMA,
                          (0, 0.416667, 0.416667), 2.55678891, GAMMA),
    "ge_bands": ("calculation.out", "finished", "191112", "-0.114797019387213E+06", 0.21146108, (0.1, 0, 0), GAMMA,
                 0.43223761, GAMMA),
    "ge_soc_bands": ("calculation.out", "finished", "191112", "-0.114797019387213E+06", 0.21146108, (0.9, 0, 0), GAMMA,
                     0.43223761, GAMMA),
    "hse06_soc_dielectric_killed": ("aims.out", "killed", "221103", "-0.107221954763892E+07", 1.38231941,
                                    (0.32, 0.36, 0), (0.16, 0.64, 0), 1.43548217, (0.32, 0.36, 0)),
    "parametric_symmetry_ceo2": ("aims_CC.out", "finished", "210226", "-0.249520310014138E+06", 3.28063656, GAMMA,
                                 GAMMA, 3.28063656, GAMMA),
    "relax_no_nice_day": ("output", "finished", "171221_1", "-0.157482277844680E+05", 0.48109336, GAMMA,
                          (0.416667, 0.416667, 0), 2.55968233, GAMMA),
    "relax_o2": ("aims.out", "finished", "220309", "-0.409208150090721E+04", 0.0, None, None, None, None),
    "relax_si": ("aims.out", "finished", "230813", "-0.158002255448853E+05", 0.83783433, GAMMA, (0, 0.5, 0.5),
                 2.22119998, GAMMA),
    "relax_si_2015": ("out.out", "finished", "151211", "-0.156961255888318E+05", 0.56958463, GAMMA, (0.375, 0.375, 0),
                      2.57462720, GAMMA),
    "scf_not_converged": ("output", "scf_not_converged", "171221_1", None, 0.01217150, (0.25, 0.375, 0),
                          (0.083333, 0.083333, 0), 0.05844866, None),
    "spin_bands_fe": ("Fe_band_structure_dos_spin.out", "finished", "151211", "-0.347058285672301E+05", 0.01279715,
                      (0.4375, 0.5, 0.5), (0.5625, 0.375, 0.1875), 0.05879426, (0.4375, 0.5, 0.5)),
    "static_si": ("aims.out", "finished", "230813", "-0.158000997409910E+05", 0.62301319, GAMMA, (0, 0.5, 0.5),
                  2.44552595, GAMMA),
    "truncated_mid_relaxation": ("aims.out", "incomplete", "240206", None, 7.13587513, None, None, None, None),
}  # fmt: skip
# name: SOC gap, VBM and CBM k-point, direct gap and where (the Ge file prints the wrong place), gap on the path
REAL_SOC: dict[str, tuple[Any, ...]] = {
    "ge_soc_bands": (0.12627702, (0.1, 0, 0), (0, 0, 0.5), 0.28373978, None, 0.02198044),
    "hse06_soc_dielectric_killed": (1.19816948, (0.32, 0.36, 0), (0.2, 0.6, 0), 1.27357279, (0.32, 0.32, 0), 1.17989913)
}  # fmt: skip
