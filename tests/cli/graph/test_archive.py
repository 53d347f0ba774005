"""`aiida-perovskite export` and `import`: a campaign leaves the machine with its numbers and without its secrets."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from aiida.common import LinkType
from campaign_in_graph import REFERENCE, seal_all
from provenance_walk import absolute_paths, report_data

pytestmark = pytest.mark.production

SECRETS = ("hush-token", "hush-account", "hush-workdir", "hush-prepend", "hush-user", "hush-owner")


@pytest.fixture(scope="module")
def exported(campaign: Any, aiida_profile: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The archive of a campaign whose jobs and computer hold secrets, and what was said of it where it ran."""
    from click.testing import CliRunner

    from aiida_perovskite.cli import cmd_root

    hide_secrets(campaign)
    folder = tmp_path_factory.mktemp("archive")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cmd_root, ["-p", aiida_profile.name, *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    run("campaign", "report", "halides", "-o", str(folder / "before.html"))
    said = run("export", "halides", str(folder / "halides.aiida"))
    traced = json.loads(run("trace", f"{REFERENCE}.slme_percent", "-c", "halides", "--format", "json"))
    found = json.loads(run("query", "--json"))
    return SimpleNamespace(folder=folder, path=folder / "halides.aiida", said=said, traced=traced, found=found)


def hide_secrets(campaign: Any) -> None:
    """Write what an archive must not carry to where AiiDA keeps it, and end every process."""
    from aiida import orm
    from aiida.manage import get_manager
    from aiida.orm.entities import EntityTypes

    computer = campaign.inputs.code_learning.computer
    computer.set_workdir("/scratch/hush-workdir/{username}/aiida")
    computer.set_prepend_text("export PASSWORD=hush-prepend")
    storage = get_manager().get_profile_storage()
    key = storage.get_repository().put_object_from_filelike(
        io.BytesIO(b"cd /data/hush-workdir/ab; TOKEN=hush-token run")
    )
    job = orm.QueryBuilder().append(orm.CalcJobNode).first(flat=True)
    options = {
        "environment_variables": {"TOKEN": "hush-token"},
        "account": "hush-account",
        "prepend_text": "export PASSWORD=hush-prepend",
    }
    attributes = {
        **job.base.attributes.all,
        **options,
        "metadata_inputs": {"metadata": {"options": options}},
        "remote_workdir": "/data/hush-workdir/ab/cd",
        "last_job_info": {"job_owner": "hush-owner"},
        "exception": 'File "/home/hush-user/site-packages/x.py", line 3',
    }
    listing = {"o": {"_aiidasubmit.sh": {"k": key}}}
    changed = {"id": job.pk, "attributes": attributes, "repository_metadata": listing}
    storage.bulk_update(EntityTypes.NODE, [changed])
    retrieved = orm.FolderData()
    retrieved.base.repository.put_object_from_bytes(b"log: file:///data/hush-workdir/ab/cd/x.log", "stdout")
    retrieved.base.links.add_incoming(job, LinkType.CREATE, "retrieved")
    retrieved.store().base.extras.set("note", "see /home/hush-user/notes.txt")
    seal_all()


@pytest.fixture
def imported(exported: SimpleNamespace, run: Callable[..., Any], aiida_profile: Any) -> Any:
    """An empty profile into which the archive was imported; what is said of the import."""
    aiida_profile.reset_storage()
    return run("import", str(exported.path))


def test_a_file_that_may_be_given_away(exported: SimpleNamespace) -> None:
    with zipfile.ZipFile(exported.path) as archive:
        names = archive.namelist()
        content = {name: archive.read(name) for name in names}
    assert {"README.md", "CITATION.cff", "report.html", "metadata.json", "db.sqlite3"} <= set(names)
    for name, data in content.items():
        for secret in SECRETS:
            assert secret.encode() not in data, f"{secret} in {name}"
    readme, citation = content["README.md"].decode(), yaml.safe_load(content["CITATION.cff"])
    assert "aiida-perovskite campaign report halides" in readme
    assert "halide-gaps-gpaw, 457 rows" in readme
    assert "licence: CC BY 4.0" in readme
    assert citation["cff-version"] == "1.2.0"
    assert {"aiida-core", "halide-gaps-gpaw", "torch"} <= {item["title"] for item in citation["references"]}
    assert b"report-data" in content["report.html"]


def test_the_profile_itself_keeps_its_paths(exported: SimpleNamespace, campaign: Any) -> None:
    assert "hush-workdir" in campaign.inputs.code_learning.computer.get_workdir()
    assert campaign.inputs.code_learning.get_executable().is_absolute()


def test_another_machine_says_the_same(
    imported: Any, exported: SimpleNamespace, run: Callable[..., Any], tmp_path: Path
) -> None:
    from aiida import orm

    assert imported.exit_code == 0, imported.output
    assert "campaign 'halides' is imported" in imported.output
    assert run("campaign", "report", "halides", "-o", str(tmp_path / "after.html")).exit_code == 0
    before, after = (
        report_data(path.read_text()) for path in (exported.folder / "before.html", tmp_path / "after.html")
    )
    assert len(before["numbers"]) > 100
    for part in ("numbers", "arrays", "tables"):
        assert before[part] == after[part], part

    traced = json.loads(run("trace", f"{REFERENCE}.slme_percent", "-c", "halides", "--format", "json").stdout)
    assert traced["result"]["value"] == exported.traced["result"]["value"]
    assert traced["result"]["uuid"] == exported.traced["result"]["uuid"]
    assert set(traced["nodes"]) == set(exported.traced["nodes"])
    facts, known = traced["facts"], exported.traced["facts"]
    assert [item.pop("executable") for item in facts["codes"]] == ["python3"]
    assert [item.pop("executable") for item in known["codes"]] == ["/usr/bin/python3"]
    for name in known:
        assert sorted(map(str, facts[name])) == sorted(map(str, known[name])), name

    found = json.loads(run("query", "--json").stdout)
    for row in [*found, *exported.found]:
        del row["process_pk"]
    assert found == exported.found
    nodes = orm.QueryBuilder().append(orm.Data).all(flat=True)
    assert absolute_paths(nodes) == []
    (retrieved,) = (node for node in nodes if isinstance(node, orm.FolderData))
    assert retrieved.base.repository.get_object_content("stdout") == "log: file://withheld/x.log"


def test_importing_twice_changes_nothing(imported: Any, exported: SimpleNamespace, run: Callable[..., Any]) -> None:
    from aiida.orm import Node, QueryBuilder

    before = QueryBuilder().append(Node).count()
    assert run("import", str(exported.path)).exit_code == 0
    assert QueryBuilder().append(Node).count() == before
    assert run("campaign", "list").output.count("halides") == 1


def test_verdi_reads_the_file(exported: SimpleNamespace, aiida_profile: Any) -> None:
    from aiida.tools.archive.imports import import_archive

    aiida_profile.reset_storage()
    import_archive(exported.path)
    from aiida_perovskite.cli.campaigns import latest_run

    assert latest_run("halides").is_finished_ok
