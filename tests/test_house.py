"""The house rules that no other tool checks: what stands at the root, what is installed, what no file may hold."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from itertools import combinations
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "aiida_perovskite"
METADATA = configparser.ConfigParser()
METADATA.read(ROOT / "setup.cfg", encoding="utf-8")

# Room -> rooms it may import, as the table in docs/concepts/the-house.md has it.
ROOMS = {
    "chemistry": set(),
    "photovoltaics": {"chemistry"},
    "learning": {"chemistry"},
    "engines": {"chemistry", "photovoltaics"},
    "datasets": {"chemistry"},
    "data": {"chemistry", "photovoltaics", "learning", "engines", "datasets"},
    "calculations": {"chemistry", "photovoltaics", "learning", "engines", "datasets", "data"},
    "parsers": {"engines", "data"},
    "workflows": {"chemistry", "photovoltaics", "learning", "engines", "datasets", "data", "calculations", "parsers"},
    "report": {"data"},
    "cli": {
        "chemistry",
        "photovoltaics",
        "learning",
        "engines",
        "datasets",
        "data",
        "calculations",
        "parsers",
        "workflows",
        "report",
    },
}


# Belongs to no room: reading the files of others within limits, which all rooms do.
COMMON = {"limits"}


def test_the_rooms_of_an_aiida_user_stand_at_the_root():
    for name in ("calculations", "workflows"):
        link = ROOT / name
        assert link.is_symlink()
        assert link.readlink() == Path("aiida_perovskite") / name


def test_only_the_package_is_installed():
    include = METADATA["options.packages.find"]["include"].split()
    found = find_packages(str(ROOT), include=include)
    assert {name.split(".")[0] for name in found} == {"aiida_perovskite"}
    assert {name.split(".")[1] for name in found if "." in name} == set(ROOMS)


def test_data_files_of_the_package_are_declared():
    declared = {
        path
        for package, patterns in METADATA["options.package_data"].items()
        for pattern in patterns.split()
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    present = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file()
        and path.parent.name != "__pycache__"
        and (path.suffix != ".py" or path.parent.name == "scripts")
    }
    assert present == {path for path in declared if path.is_file() and path.parent.name != "__pycache__"}


@pytest.mark.parametrize("group", METADATA["options.entry_points"])
def test_entry_points_can_be_imported(group):
    for line in METADATA["options.entry_points"][group].strip().splitlines():
        module, _, attribute = line.partition("=")[2].strip().partition(":")
        assert callable(getattr(import_module(module), attribute)), line


@pytest.mark.parametrize("group", ["aiida.workflows", "aiida.calculations"])
def test_every_port_says_what_it_is(group):
    """`verdi plugin list` is what a user reads before writing a builder."""

    def silent(namespace, path):
        for name, port in namespace.items():
            if name == "metadata":  # AiiDA's own
                continue
            if not (port.help or "").strip():
                yield f"{path}.{name}"
            if hasattr(port, "items"):
                yield from silent(port, f"{path}.{name}")

    for entry in entry_points(group=group):
        if entry.name.startswith("perovskite."):
            spec = entry.load().spec()
            assert [*silent(spec.inputs, entry.name), *silent(spec.outputs, entry.name)] == []


def test_dependencies_have_lower_bounds_and_no_pins():
    for line in METADATA["options"]["install_requires"].split():
        assert re.fullmatch(r"[A-Za-z0-9-]+>=[0-9.]+", line), line


def test_a_room_imports_only_what_the_table_says():
    """Finer than the contracts of import-linter: they know layers, the table knows rooms."""
    for path in PACKAGE.glob("*/**/*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        imported = set(
            re.findall(r"^\s*(?:from|import) aiida_perovskite\.(\w+)", path.read_text("utf-8"), re.MULTILINE)
        )
        allowed = ROOMS[room] | COMMON | {room}
        assert imported <= allowed, f"{path.relative_to(ROOT)} imports {imported - allowed}"


def test_the_contracts_order_the_rooms_as_the_table_does():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    height = {
        name.strip().removeprefix("aiida_perovskite."): -number
        for number, layer in enumerate(layers)
        for name in layer.split("|")
    }
    assert set(height) == set(ROOMS)
    for room, below in ROOMS.items():
        assert all(height[other] < height[room] for other in below)
    # Neighbours on one floor know nothing of each other.
    for one, other in combinations(ROOMS, 2):
        if height[one] == height[other]:
            assert one not in ROOMS[other]
            assert other not in ROOMS[one]
    science = next(contract for contract in contracts if "aiida" in contract.get("forbidden_modules", ()))
    assert {name.split(".")[1] for name in science["source_modules"]} == {
        "chemistry",
        "photovoltaics",
        "learning",
        "engines",
        "datasets",
    }


def test_style_is_checked_in_every_room_and_not_through_the_links():
    """An exclusion of the links by name would leave out the rooms themselves, and their tests."""
    command = ["ruff", "check", "--show-files", "."]
    seen = {
        Path(line).relative_to(ROOT)
        for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    }
    assert {path.relative_to(ROOT) for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py")} <= seen
    assert not {path for path in seen if path.parts[0] in ("calculations", "workflows")}


def test_no_file_of_the_package_unpickles_or_names_a_place_on_a_disk():
    forbidden_imports = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not forbidden_imports & {alias.name.split(".")[0] for alias in node.names}, where
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden_imports, where
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"eval", "exec", "torch.load", "pandas.read_pickle", "pd.read_pickle"}, where
                assert not any(
                    keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False" for keyword in node.keywords
                ), where
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.match(r"/(home|root|work|tmp|opt|mnt|Users)/[\w.-]+(/\S*)?$", node.value), where


def test_the_readme_tells_the_truth():
    """Its Python runs, and its links and pictures lead somewhere."""
    text = (ROOT / "README.md").read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).is_file(), target


class TestBootstrap:
    """`tools/bootstrap.sh` on machines that lack something, by a copy of it and false commands ahead on PATH."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        folder = tmp_path / "checkout"
        (folder / "tools").mkdir(parents=True)
        for name in ("setup.cfg", "constraints.txt", "tools/bootstrap.sh"):
            shutil.copy(ROOT / name, folder / name)
        return folder

    @staticmethod
    def run(checkout: Path, *arguments: str, commands: dict[str, str], **variables: str) -> subprocess.CompletedProcess:
        binaries = checkout.parent / "bin"
        binaries.mkdir(exist_ok=True)
        for name, script in commands.items():
            (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
            (binaries / name).chmod(0o755)
        environment = {**os.environ, **variables, "PATH": f"{binaries}:{os.environ['PATH']}"}
        command = ["bash", "tools/bootstrap.sh", *arguments]
        return subprocess.run(
            command, cwd=checkout, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    def test_without_root_it_says_which_packages_to_install(self, checkout):
        nothing_installed = {"dpkg-query": "exit 1", "id": "echo 1000", "apt-get": "touch called; exit 1"}
        result = self.run(checkout, "test", commands=nothing_installed)
        assert result.returncode == 1
        for package in ("g++", "libopenblas-dev", "libxc-dev", "chromium", "chromium-driver"):
            assert package in result.stderr
        assert "sudo apt-get install" in result.stderr
        assert not (checkout / "called").exists()
        assert not (checkout / ".venv").exists()

    def test_only_what_is_missing_is_named_and_the_demo_needs_no_browser(self, checkout):
        commands = {
            "dpkg-query": 'case "$*" in *libxc-dev*) exit 1 ;; *) echo "install ok installed" ;; esac',
            "id": "echo 1000",
        }
        result = self.run(checkout, "demo", commands=commands)
        assert result.returncode == 1
        assert result.stderr.rstrip().endswith(" libxc-dev")
        assert "chromium" not in result.stderr

    def test_packages_that_cannot_be_installed_are_named_with_what_apt_said(self, checkout):
        commands = {"dpkg-query": "exit 1", "id": "echo 0", "apt-get": "echo no route to the archive; exit 100"}
        result = self.run(checkout, "demo", commands=commands)
        assert result.returncode == 1
        assert "no route to the archive" in result.stderr
        assert "libxc-dev" in result.stderr

    def test_an_old_python_is_refused_in_one_sentence(self, checkout):
        result = self.run(checkout, "demo", commands={"old": "exit 1"}, PYTHON=str(checkout.parent / "bin" / "old"))
        assert result.returncode == 1
        assert "no Python 3.11 or newer" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
