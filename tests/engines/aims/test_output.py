from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import aims_stdout as stdout
import numpy as np
import pytest
from aims_expected import REAL, REAL_SOC
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiida_perovskite.engines.aims.output import AimsOutput, read_output
from aiida_perovskite.engines.aims.status import AimsStatus

FINISHED = [name for name, row in REAL.items() if row[1] == "finished"]


@pytest.fixture
def outputs(shared_folder: Path) -> Path:
    return shared_folder / "aims-outputs"


@pytest.mark.parametrize("name", REAL)
def test_a_real_output_is_read_as_printed(outputs: Path, name: str) -> None:
    file, status, version, energy, gap, vbm_k, cbm_k, direct_gap, direct_gap_k = REAL[name]
    output = read_output(outputs / name / file)
    assert (output.status, output.finished) == (status, status == "finished")
    assert output.version == version
    assert output.total_energy_ev == (None if energy is None else float(energy))
    assert (output.gap_ev, output.vbm_k, output.cbm_k) == (gap, vbm_k, cbm_k)
    assert (output.direct_gap_ev, output.direct_gap_k) == (direct_gap, direct_gap_k)
    soc = (output.soc_gap_ev, output.soc_vbm_k, output.soc_cbm_k)
    soc_direct = (output.soc_direct_gap_ev, output.soc_direct_gap_k, output.soc_path_gap_ev)
    assert (*soc, *soc_direct) == REAL_SOC.get(name, (None,) * 6)


def test_the_table_covers_every_real_output(outputs: Path) -> None:
    runs = {folder.name for folder in outputs.iterdir() if folder.is_dir() and (folder / "SOURCE.md").exists()}
    assert runs - {"inputs_cs2agbibr6"} == set(REAL)


@pytest.mark.parametrize(
    ("name", "n_steps", "n_scf", "first_force"),
    [
        ("relax_si", 5, 49, 0.477099),
        ("relax_o2", 4, 38, 1.18790),
        ("relax_si_2015", 5, 39, 0.0415995),
        ("relax_no_nice_day", 15, 184, 2.03344),
        ("truncated_mid_relaxation", 4, 56, 3.80167),
        ("parametric_symmetry_ceo2", 1, 176, None),
        ("dielectric_k12", 1, 12, None),
    ],
)
def test_the_steps_of_a_relaxation(
    outputs: Path, name: str, n_steps: int, n_scf: int, first_force: float | None
) -> None:
    output = read_output(outputs / name / REAL[name][0])
    assert (len(output.steps), output.n_scf_iterations) == (n_steps, n_scf)
    assert output.steps[0].max_force_ev_per_angstrom == first_force
    for step in output.steps:
        assert step.positions.shape == (output.n_atoms, 3)
        assert len(step.symbols) == output.n_atoms
    distinct = {step.positions.tobytes() + (b"" if step.cell is None else step.cell.tobytes()) for step in output.steps}
    assert len(distinct) == n_steps


def test_the_structures_of_a_relaxation_are_those_before_each_step(outputs: Path) -> None:
    output = read_output(outputs / "relax_si" / "aims.out")
    first = output.steps[0]
    assert first.cell is not None
    np.testing.assert_array_equal(first.cell, 2.715 * (1 - np.eye(3)))
    np.testing.assert_array_equal(first.positions, [[0, 0, 0], [1.3575, 1.3575, 1.3575]])
    assert first.energy_ev == -0.158000997410391e05
    assert output.steps[1].positions[1].tolist() == [1.37332356, 1.37332357, 1.37332357]
    assert output.structure is not None
    np.testing.assert_array_equal(output.structure.positions[1], [1.40758805, 1.40758808, 1.40758808])


def test_a_cluster_has_no_cell(outputs: Path) -> None:
    assert read_output(outputs / "relax_o2" / "aims.out").steps[-1].cell is None


def test_what_else_is_printed(outputs: Path) -> None:
    iron = read_output(outputs / "spin_bands_fe" / REAL["spin_bands_fe"][0])
    assert (iron.n_spin, iron.n_atoms, iron.n_kpoints, iron.n_tasks) == (2, 1, 2052, 2)
    assert (iron.magnetic_moment, iron.wall_time_s, iron.chemical_potential_ev) == (2.0828, 290.934, -9.384221)
    assert iron.requested.bands
    assert iron.requested.dos
    killed = read_output(outputs / "hse06_soc_dielectric_killed" / "aims.out")
    assert (killed.requested.hybrid, killed.requested.soc, killed.requested.dielectric) == (True, True, True)
    assert not killed.requested.relaxation
    assert "KILLED BY SIGNAL: 9" in killed.evidence
    oxygen = read_output(outputs / "relax_o2" / "aims.out")
    assert (oxygen.free_energy_ev, oxygen.total_energy_corrected_ev) == (-0.409213791986640e04, -0.409210971038681e04)


@pytest.mark.parametrize("name", FINISHED)
def test_cut_before_the_end_of_the_leaving_line_no_run_has_finished(outputs: Path, name: str) -> None:
    content = (outputs / name / REAL[name][0]).read_bytes()
    end = content.index(b"Leaving FHI-aims.") + len(b"Leaving FHI-aims.")
    assert content[end : end + 1] == b"\n"
    for length in range(end - 40, end + 1):
        assert not read_output(io.BytesIO(content[:length])).finished, content[length - 20 : length]
    assert read_output(io.BytesIO(content[: end + 1])).finished


@pytest.mark.parametrize("name", FINISHED)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1))
def test_cut_anywhere_no_run_has_finished(outputs: Path, name: str, part: float) -> None:
    content = (outputs / name / REAL[name][0]).read_bytes()
    end = content.index(b"Leaving FHI-aims.") + len(b"Leaving FHI-aims.")
    output = read_output(io.BytesIO(content[: int(part * end)]))
    assert output.status in {AimsStatus.INCOMPLETE, AimsStatus.SCF_NOT_CONVERGED}


def test_a_number_cut_in_half_is_not_read() -> None:
    text = stdout.head() + stdout.cycle()
    cut = text[: text.rindex("E+05")]
    assert cut.endswith("-0.158026474520444")
    assert read_output(io.StringIO(cut)).total_energy_ev is None
    assert read_output(io.StringIO(text)).total_energy_ev == -15802.6474520444


@pytest.mark.parametrize(
    ("header", "version"), [(stdout.OLD_HEADER, "171221_1"), (stdout.NEW_HEADER, "240206")], ids=["old", "new"]
)
def test_both_headers(header: str, version: str) -> None:
    output = read_output(io.StringIO(stdout.head(header) + stdout.cycle() + stdout.LEAVING))
    assert (output.version, output.finished) == (version, True)


def test_paths_files_and_lines_read_the_same(tmp_path: Path) -> None:
    text = stdout.head() + stdout.cycle() + stdout.LEAVING
    path = tmp_path / "aims.out"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    with path.open() as handle, path.open("rb") as binary:
        sources = [path, str(path), handle, binary, io.StringIO(text), iter(text.splitlines(keepends=True))]
        read = [read_output(source) for source in sources]
    assert {(output.finished, output.gap_ev) for output in read} == {(True, 1.25)}
    # The last line of a list without newlines may be cut.
    assert not read_output(text.splitlines()).finished
    assert read_output([*text.splitlines(), ""]).finished


def test_without_the_echo_of_control_in_the_run_is_read_all_the_same() -> None:
    head = stdout.head(control="").replace(
        "Completed first pass over input file control.in .", "Reading file control.in."
    )
    output = read_output(io.StringIO(head + "  Geometry relaxation: BFGS.\n" + stdout.cycle() + stdout.LEAVING))
    assert (output.status, output.gap_ev) == (AimsStatus.GEOMETRY_NOT_CONVERGED, 1.25)


def test_of_several_runs_in_one_file_the_last_counts() -> None:
    run = stdout.head() + stdout.cycle() + stdout.LEAVING
    again = read_output(io.StringIO(run + stdout.head() + stdout.cycle(converged=False)))
    assert again.status is AimsStatus.SCF_NOT_CONVERGED
    assert again.total_energy_ev is None


def test_an_energy_of_a_cycle_that_did_not_converge_is_none_but_stays_in_the_steps() -> None:
    output = read_output(io.StringIO(stdout.head() + stdout.cycle(converged=False)))
    assert output.total_energy_ev is None
    assert output.steps[0].energy_ev == -15802.6474520444


def test_fortran_overflow_is_no_number() -> None:
    text = stdout.head() + stdout.cycle(energy="**********************") + stdout.gap_block("**********")
    output = read_output(io.StringIO(text))
    assert (output.total_energy_ev, output.gap_ev) == (None, None)


def test_the_gap_of_an_older_geometry_is_not_kept_as_spin_orbit_gap() -> None:
    soc = "  **          STARTING SECOND VARIATIONAL SOC CALCULATION         **\n" + stdout.gap_block("0.75000000")
    first = stdout.head() + stdout.cycle() + soc
    assert read_output(io.StringIO(first)).soc_gap_ev == 0.75
    second = read_output(io.StringIO(first + stdout.cycle()))
    assert (second.gap_ev, second.soc_gap_ev) == (1.25, None)


def readable(output: AimsOutput) -> bool:
    return isinstance(output.status, AimsStatus) and bool(output.evidence)


LINES = (stdout.head() + stdout.relaxation_step(1) + stdout.cycle() + stdout.LEAVING).splitlines(keepends=True)


@settings(max_examples=100, deadline=None)
@given(lines=st.permutations(LINES), cut=st.integers(0, 4000))
def test_shuffled_and_cut_lines_raise_nothing(lines: list[str], cut: int) -> None:
    assert readable(read_output(io.StringIO("".join(lines)[:cut])))


@settings(max_examples=200, deadline=None)
@given(noise=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=60)), max_size=8))
def test_binary_garbage_raises_nothing(noise: list[tuple[int, bytes]]) -> None:
    content = "".join(LINES).encode()
    for place, piece in noise:
        content = content[:place] + piece + content[place + len(piece) // 2 :]
    assert readable(read_output(io.BytesIO(content)))


@settings(max_examples=200, deadline=None)
@given(
    line=st.sampled_from(LINES),
    words=st.lists(st.sampled_from(["", "nan", "1e999", "*****", "| :", "\u0661", "9" * 5000]), max_size=9),
)
def test_lines_with_other_words_raise_nothing(line: str, words: list[str]) -> None:
    start = line.rstrip()[: len(line) // 2]
    assert readable(read_output([stdout.head(), stdout.cycle(), f"{start} {' '.join(words)}\n", line]))


@pytest.mark.parametrize("name", ["hse06_soc_dielectric_killed", "relax_o2"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_real_outputs_raise_nothing(outputs: Path, name: str, data: st.DataObject) -> None:
    content = (outputs / name / REAL[name][0]).read_bytes()
    place = data.draw(st.integers(0, len(content)))
    damaged = content[:place] + data.draw(st.binary(max_size=2000)) + content[place + 500 :]
    assert readable(read_output(io.BytesIO(damaged)))


def test_a_line_without_end_is_survived_and_what_follows_is_read() -> None:
    output = read_output(["x" * 50_000_000 + "\n", stdout.head() + stdout.cycle() + stdout.LEAVING])
    assert output.finished


def test_memory_does_not_grow_with_the_output(tmp_path: Path) -> None:
    path = tmp_path / "aims.out"
    state = "      1       2.00000         -65.738842        -1788.84491\n"
    part = stdout.iteration(1) + state * 2000
    with path.open("w") as handle:
        handle.write(stdout.head() + stdout.cycle())
        for _ in range(50_000_000 // len(part)):
            handle.write(part)
        handle.write("x" * 5_000_000)
    tracemalloc.start()
    try:
        output = read_output(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.n_scf_iterations > 400
    assert peak < 40_000_000
