"""A campaign as one file that may be given away, and back into a profile."""

from __future__ import annotations

import json
import shlex
import sqlite3
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida import orm
from aiida.common.exceptions import AiidaException
from sqlalchemy.exc import SQLAlchemyError

from aiida_perovskite.report.candidates import candidate_processes
from aiida_perovskite.report.trace import versions_of
from aiida_perovskite.report.withheld import WITHHELD, pack, withhold

if TYPE_CHECKING:
    from aiida.orm import Group

REPORT, README, CITATION = "report.html", "README.md", "CITATION.cff"
DATABASE, METADATA, FILES = "db.sqlite3", "metadata.json", "repo"  # of AiiDA's archives
MAX_UNPACKED = 50 * 2**30  # bytes; above, an archive is rather a trap than a campaign
MAX_FILES = 2_000_000
MAX_RATIO = 200  # of the sizes before and after compression, of a whole archive; tables and texts reach about ten
# What AiiDA, SQLAlchemy and the readers of zip, JSON and SQLite raise for files that are cut, forged or encrypted.
DAMAGED = (
    AiidaException,
    FileNotFoundError,
    sqlite3.DatabaseError,
    SQLAlchemyError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    TypeError,
    RuntimeError,
)
SMALL = 2**20  # bytes below which the ratio says nothing


@dataclass(frozen=True)
class Content:
    """What an archive holds.

    Attributes
    ----------
    runs
        UUID, label of the process, date and exit status of each run of the campaign.
    tables
        ``name``, ``n_rows``, ``sha256``, ``citation`` and ``licence`` of the tables that were given.
    versions
        Of the packages that ran the processes and of the libraries that jobs and checkpoints name.
    authors
        Names, or addresses where there is no name, of those who ran the processes.
    """

    nodes: int
    processes: int
    runs: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    versions: dict[str, list[str]]
    computers: list[str]
    authors: list[str]


def export_campaign(group: Group, pages: dict[str, str], path: Path, *, keep_paths: bool = False) -> list[str]:
    """Write the archive of a campaign, with a README, a citation file and other pages inside.

    Parameters
    ----------
    pages
        Name -> text of what else goes into the file, e.g. the report.
    path
        Of the file; what was there is replaced.
    keep_paths
        Leave work folders, job options and submission files as they are.

    Returns
    -------
    left
        UUIDs of nodes with files that are no text and name a folder of this machine.

    Raises
    ------
    ValueError
        If a process of the campaign has not ended.
    """
    from aiida.tools.archive import create_archive
    from aiida.tools.archive.exceptions import ExportValidationError

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        folder = Path(name)
        raw, unpacked = folder / "raw.aiida", folder / "unpacked"
        try:
            taken = [node for run in group.nodes for node in candidate_processes(run).values()]
            create_archive([group, *taken], raw, include_logs=keep_paths)
        except ExportValidationError as error:
            raise ValueError(
                f"campaign {group.label!r} has processes that have not ended, and cannot be exported yet: {error}"
            ) from None
        with zipfile.ZipFile(raw) as archive:
            archive.extractall(unpacked)
        raw.unlink()
        left: list[str] = []
        if not keep_paths:
            left, private = withhold(unpacked / DATABASE, unpacked / FILES)
            pages = {page: private.sub(f"{WITHHELD}/", text) for page, text in pages.items()}
        content = read_content(unpacked / DATABASE, group.label)
        texts = {**pages, README: readme(group.label, content, list(pages)), CITATION: citation(group, content)}
        for text_name, text in texts.items():
            (unpacked / text_name).write_text(text, encoding="utf-8")
        pack(unpacked, path, [METADATA, README, CITATION])
    return left


def read_content(database: Path, label: str) -> Content:
    """Read from the database of an archive what it holds."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT node_type, process_type, attributes FROM db_dbnode").fetchall()
        runs = connection.execute(
            "SELECT n.uuid, n.ctime, n.attributes FROM db_dbnode n JOIN db_dbgroup_dbnodes g ON g.dbnode_id = n.id "
            "JOIN db_dbgroup d ON d.id = g.dbgroup_id WHERE d.label = ? ORDER BY n.ctime",
            (label,),
        ).fetchall()
        given = connection.execute(
            "SELECT attributes FROM db_dbnode n WHERE node_type LIKE 'data.perovskite.table%' AND NOT EXISTS "
            "(SELECT 1 FROM db_dblink l WHERE l.output_id = n.id AND l.type = 'create')"
        ).fetchall()
        computers = connection.execute("SELECT label, hostname FROM db_dbcomputer ORDER BY label").fetchall()
        users = connection.execute("SELECT first_name, last_name, email FROM db_dbuser ORDER BY email").fetchall()
    connection.close()
    tables: dict[str, dict[str, Any]] = {}
    for (text,) in given:
        attributes = json.loads(text)
        tables.setdefault(str(attributes["sha256"]), {**(attributes.get("origin") or {}), **attributes})
    return Content(
        nodes=len(rows),
        processes=sum(row[0].startswith("process.") for row in rows),
        runs=[run(uuid, date, json.loads(text)) for uuid, date, text in runs],
        tables=sorted(tables.values(), key=lambda table: str(table["name"])),
        versions=versions_of(
            (node_type, process_type or "", json.loads(text)) for node_type, process_type, text in rows
        ),
        computers=[f"{name} ({host})" for name, host in computers],
        authors=[f"{first} {last}".strip() or email for first, last, email in users],
    )


def run(uuid: str, date: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a run."""
    return {
        "uuid": uuid,
        "process": attributes.get("process_label"),
        "date": date[:10],
        "exit_status": attributes.get("exit_status"),
    }


def readme(label: str, content: Content, pages: Sequence[str]) -> str:
    """Return the page that says what the file is and how it is used."""
    lines = [
        f"# Campaign {label}",
        "",
        f"An AiiDA archive of work on double perovskites: {content.nodes} nodes, of which {content.processes} are",
        "calculations and workflows. Every number of it leads back to the data, settings and programs that it was",
        "computed from.",
        "",
        "The file is a zip file. `report.html` in it opens in any browser. To have the rest, with AiiDA and",
        "aiida-perovskite installed (no daemon and no electronic-structure code is needed):",
        "",
        "```bash",
        "aiida-perovskite setup profile        # unless there is one",
        "aiida-perovskite import FILE",
        f"aiida-perovskite campaign report {shlex.quote(label)}",
        f"aiida-perovskite query -c {shlex.quote(label)}",
        "aiida-perovskite trace UUID",
        "```",
        "",
        "## What is inside",
        "",
        *[f"- `{name}`" for name in (*pages, README, CITATION)],
        "- `metadata.json`, `db.sqlite3`, `repo/`: the archive as AiiDA reads it (`verdi archive import FILE`)",
        "",
        "## Runs",
        "",
        *[
            f"- {item['process']} {item['uuid']}, {item['date']}, exit status {item['exit_status']}"
            for item in content.runs
        ],
        "",
        "## Data that went in",
        "",
    ]
    for table in content.tables:
        lines.append(f"- {table['name']}, {table['n_rows']} rows, sha256 {table['sha256']}")
        lines += [f"  - {name}: {table[name]}" for name in ("citation", "licence") if table.get(name)]
    lines += ["", "## Programs", ""]
    lines += [f"- {name} {', '.join(values)}" for name, values in content.versions.items()]
    lines += [f"- computer {name}" for name in content.computers]
    return "\n".join([*lines, ""])


def citation(group: Group, content: Content) -> str:
    """Return the citation file (CFF 1.2)."""
    import yaml

    names = Counter(content.authors)
    references: list[dict[str, Any]] = [
        {
            "type": "data",
            "title": str(table["name"]),
            "authors": [{"name": "see notes"}],
            "notes": str(table["citation"]),
        }
        for table in content.tables
        if table.get("citation")
    ]
    references += [
        {"type": "software", "title": name, "version": values[-1], "authors": [{"name": f"the authors of {name}"}]}
        for name, values in content.versions.items()
    ]
    record = {
        "cff-version": "1.2.0",
        "message": "If you use these data, cite them, and the data and programs that they were made with.",
        "type": "dataset",
        "title": f"Double perovskites: campaign {group.label}",
        "authors": [{"name": name} for name in names] or [{"name": "unknown"}],
        "identifiers": [
            {"type": "other", "value": item["uuid"], "description": f"AiiDA node of a {item['process']}"}
            for item in content.runs
        ],
        "date-released": max((item["date"] for item in content.runs), default=None),
        "references": references,
    }
    return str(
        yaml.safe_dump({key: value for key, value in record.items() if value}, sort_keys=False, allow_unicode=True)
    )


def import_archive(path: Path) -> list[str]:
    """Import an archive; return the labels that its groups have in this profile.

    An archive that an older AiiDA wrote is brought to the format of this one first, in a copy.

    Raises
    ------
    ValueError
        If the file is no archive, or would unpack to more than a campaign can be.
    """
    from aiida.tools.archive import import_archive as aiida_import
    from aiida.tools.archive.abstract import get_format

    check_sizes(path)
    form = get_format()
    with tempfile.TemporaryDirectory() as name:
        current = path
        try:
            if form.read_version(path) != form.latest_version:
                current = Path(name) / "current.aiida"
                form.migrate(path, current, form.latest_version)
            check_labels(current)
            aiida_import(current, import_new_extras=True, create_group=False)
            with form.open(current, mode="r") as reader:
                query = orm.QueryBuilder(backend=reader.get_backend()).append(orm.Group, project="uuid")
                uuids = query.all(flat=True)
        except DAMAGED as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)  # SQLAlchemy adds its whole query
            raise ValueError(f"{path} is no AiiDA archive, or is damaged: {why}") from None
    if not uuids:
        return []
    query = orm.QueryBuilder().append(orm.Group, filters={"uuid": {"in": uuids}}, project="label")
    found: list[str] = sorted(query.all(flat=True))
    return found


def check_labels(path: Path) -> None:
    """Refuse an archive whose groups have names that would change what a terminal or a shell does with a line."""
    from aiida.tools.archive.abstract import get_format

    with get_format().open(path, mode="r") as reader:
        query = orm.QueryBuilder(backend=reader.get_backend()).append(orm.Group, project="label")
        odd = [label for label in query.all(flat=True) if not label.isprintable()]
    if odd:
        raise ValueError(f"{path} is refused: it holds a group named {odd[0][:100]!r}, which is no printable name")


def check_sizes(path: Path) -> None:
    """Refuse what is no zip file, or one that unpacks to an amount that no campaign has; nothing is unpacked here."""
    if tarfile.is_tarfile(path):
        # AiiDA would unpack one with all its paths; a file may be both a tar and a zip file.
        raise ValueError(f"{path} is no AiiDA archive of this time: it is a tar file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is no AiiDA archive: it is no zip file, or was cut short") from None
    size, packed = sum(item.file_size for item in members), sum(item.compress_size for item in members)
    if size > MAX_UNPACKED or len(members) > MAX_FILES or size > max(SMALL, MAX_RATIO * packed):
        raise ValueError(
            f"{path} is refused: it would unpack to {size / 2**30:.3g} GiB in {len(members)} files, "
            f"{size / max(packed, 1):.0f} times its size"
        )
