"""Take out of an archive what concerns nobody but the machine that it is from.

An archive of AiiDA holds, beside data and links, how each job was submitted: work folders, environment variables, texts
that run before a job, accounts, the scheduler's records. None of it is part of a result, some of it is nobody's
business. Here it is taken out of the archive's copy; the profile is not touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WITHHELD = "withheld"  # stands for a folder
# Options of jobs that may hold secrets or say who ran it where. What a result depends on is an input node instead.
OPTIONS = (
    "account",
    "append_text",
    "custom_scheduler_commands",
    "detailed_job_info",
    "environment_variables",
    "job_id",
    "last_job_info",
    "mpirun_extra_params",
    "prepend_text",
    "qos",
    "queue_name",
    "remote_workdir",
    "scheduler_lastchecktime",
)
COMPUTER_KEPT = ("default_mpiprocs_per_machine", "default_memory_per_machine")
HOMES = (r"/(?:home|Users)/[\w.+@-]+", "/root")
SYSTEM = ("/", "/bin", "/usr/bin", "/usr/local/bin")  # folders that everybody has


def withhold(database: Path, repository: Path) -> tuple[list[str], re.Pattern[str]]:
    """Clean the database and the files of an unpacked archive in place.

    Attributes of jobs, computers and codes that say where they ran are removed; everywhere else, texts included, work
    folders and home folders are replaced by ``withheld``. The files by which jobs were submitted are left out.

    Returns
    -------
    left
        UUIDs of nodes with files that are no text and yet name such a folder.
    private
        What matches a path to such a folder, for texts that go along with the archive.
    """
    with sqlite3.connect(database) as connection:
        private = private_folders(connection)
        clean_computers(connection)
        renamed, binary = clean_files(repository, private)
        left = clean_nodes(connection, private, renamed, binary)
        for table, columns in {
            "db_dbcomment": ("content",),
            "db_dblog": ("message", "metadata"),
            "db_dbgroup": ("description", "extras"),
        }.items():
            clean_texts(connection, table, columns, private)
        connection.execute("DELETE FROM db_dbauthinfo")
        used = keys_in_use(connection)
    connection.close()
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")  # else what was removed is still in the file
    connection.close()
    for path in repository.iterdir() if repository.is_dir() else ():
        if path.name not in used:
            path.unlink()
    return left, private


def private_folders(connection: sqlite3.Connection) -> re.Pattern[str]:
    """Return what matches a path below a folder of the machine: work folders, folders of programs, homes."""
    found = {str(Path.home())}
    for (metadata,) in connection.execute("SELECT metadata FROM db_dbcomputer"):
        found.add(str(json.loads(metadata).get("workdir", "")).partition("{")[0])
    for node_type, attributes in connection.execute(
        "SELECT node_type, attributes FROM db_dbnode WHERE node_type LIKE '%calcjob%' OR node_type LIKE '%.code.%'"
    ):
        content = json.loads(attributes)
        if "calcjob" in node_type:
            found.add(str(content.get("remote_workdir") or ""))
        else:
            found.add(str(Path(content.get("filepath_executable") or "").parent))
    folders = {folder.rstrip("/") for folder in found if folder.startswith("/")} - {"", *SYSTEM}
    names = sorted((re.escape(folder) for folder in folders), key=len, reverse=True)
    return re.compile(
        r"(?:(?<=file://)|(?<![\w./]))(?:" + "|".join([*names, *HOMES]) + r")(?![\w.+-])(?:(?:/[\w.+@=,~-]+)*/)?"
    )


def clean_computers(connection: sqlite3.Connection) -> None:
    """Leave label, hostname, kind of transport and scheduler."""
    for pk, metadata in connection.execute("SELECT id, metadata FROM db_dbcomputer").fetchall():
        kept = {name: value for name, value in json.loads(metadata).items() if name in COMPUTER_KEPT}
        connection.execute(
            "UPDATE db_dbcomputer SET metadata = ?, description = '' WHERE id = ?", (json.dumps(kept), pk)
        )


def clean_files(repository: Path, private: re.Pattern[str]) -> tuple[dict[str, str], set[str]]:
    """Rewrite the texts that name a private folder; return old key -> new key, and the keys of other such files."""
    renamed: dict[str, str] = {}
    binary: set[str] = set()
    for path in list(repository.iterdir()) if repository.is_dir() else ():
        content = path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            if private.search(content.decode("latin-1")):
                binary.add(path.name)
            continue
        cleaned = private.sub(f"{WITHHELD}/", text).encode()
        if cleaned != content:
            key = hashlib.sha256(cleaned).hexdigest()
            (repository / key).write_bytes(cleaned)
            renamed[path.name] = key
    return renamed, binary


def clean_nodes(
    connection: sqlite3.Connection, private: re.Pattern[str], renamed: Mapping[str, str], binary: set[str]
) -> list[str]:
    """Clean attributes, extras, texts and files of all nodes; return UUIDs of those with files in ``binary``."""
    left = []
    columns = "id, uuid, node_type, label, description, attributes, extras, repository_metadata"
    for row in connection.execute(f"SELECT {columns} FROM db_dbnode").fetchall():
        pk, uuid, node_type, *texts, files = row
        label, description, attributes, extras = (private.sub(f"{WITHHELD}/", text or "") for text in texts)
        content = clean_attributes(node_type, json.loads(attributes))
        listing = {} if node_type.startswith("process.") else json.loads(files or "{}")
        if set(keys_of(listing)) & binary:
            left.append(str(uuid))
        new = (label, description, json.dumps(content), extras, json.dumps(with_keys(listing, renamed)), pk)
        connection.execute(
            "UPDATE db_dbnode SET label = ?, description = ?, attributes = ?, extras = ?, repository_metadata = ? "
            "WHERE id = ?",
            new,
        )
    return left


def clean_attributes(node_type: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a node without what says where a job ran and how it was submitted."""
    if node_type.startswith("process."):
        return without(content, OPTIONS)
    if node_type.startswith("data.core.remote."):
        return {**content, "remote_path": ""}
    if ".code." in node_type:
        texts = dict.fromkeys(set(content) & {"prepend_text", "append_text"}, "")
        executable = content.get("filepath_executable")
        program = {"filepath_executable": Path(executable).name} if executable else {}
        return {**content, **texts, **program}
    return content


def without(content: Any, names: tuple[str, ...]) -> Any:
    """Return nested mappings without some keys, at any depth."""
    if isinstance(content, dict):
        return {key: without(value, names) for key, value in content.items() if key not in names}
    return [without(value, names) for value in content] if isinstance(content, list) else content


def clean_texts(connection: sqlite3.Connection, table: str, columns: Iterable[str], private: re.Pattern[str]) -> None:
    """Replace private folders in some columns of a table."""
    for column in columns:
        for pk, text in connection.execute(f"SELECT id, {column} FROM {table}").fetchall():
            if text and private.search(text):
                cleaned = private.sub(f"{WITHHELD}/", text)
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (cleaned, pk))


def keys_of(listing: Mapping[str, Any]) -> list[str]:
    """Return the keys of all files in the listing of a node's repository (``o``: objects, ``k``: key)."""
    found = [str(listing["k"])] if "k" in listing else []
    return found + [key for below in listing.get("o", {}).values() for key in keys_of(below)]


def with_keys(listing: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return the listing of a node's repository with other keys."""
    found = {name: value for name, value in listing.items() if name not in ("k", "o")}
    if "k" in listing:
        found["k"] = renamed.get(listing["k"], listing["k"])
    if "o" in listing:
        found["o"] = {name: with_keys(below, renamed) for name, below in listing["o"].items()}
    return found


def keys_in_use(connection: sqlite3.Connection) -> set[str]:
    """Return the keys of the files that some node has."""
    listings = connection.execute("SELECT repository_metadata FROM db_dbnode")
    return {key for (text,) in listings for key in keys_of(json.loads(text or "{}"))}


def pack(folder: Path, path: Path, first: Iterable[str]) -> None:
    """Write a folder as a zip file, some names first: AiiDA looks for its description near the beginning."""
    names = [*first, *sorted(file.name for file in folder.iterdir() if file.name not in first and file.is_file())]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(folder / name, name)
        for file in sorted((folder / "repo").iterdir()) if (folder / "repo").is_dir() else ():
            archive.write(file, f"repo/{file.name}")
