"""A folder of results: a Parquet file a job, and an index of them in SQLite."""

import hashlib
import io
import json
import platform
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from errno import ENOSPC
from importlib.metadata import version
from pathlib import Path
from sqlite3 import SQLITE_FULL, SQLITE_IOERR
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..zoo import FolderError
from ._code_version import code_version, numerics
from ._durable import full_disk, write_whole
from ._point import Row

if TYPE_CHECKING:
    from polars import DataFrame

HEADER = "sweep.json"
STATUS = "status.sqlite"
LOCK = "lock"
ROWS = "rows"
PAGES = 16 * 1024
"""About what a line of the index takes, its journal included (bytes)."""
SUMMARY = "summary.csv"
"""Of the whole, written by who has run it to its end."""

COLUMNS = (
    "name TEXT PRIMARY KEY, state TEXT, points INTEGER, failed INTEGER, "
    "worker TEXT, started REAL, ended REAL, error TEXT, digest TEXT"
)
"""Of the table `jobs`. The state is `waiting`, `finished` or `lost`, times are those of
`time.time()`, `started` is when the job was first asked for, `error` the first that a
row of it has, `digest` that of its file."""


class Store:
    """Results in a folder. What is true are the files; the index can be made of them.

    One process at a time writes, inside `writing()`; any may read.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.folder = folder
        self.header = header

    @property
    def kind(self) -> str:
        return self.header["kind"]

    @property
    def description(self) -> dict[str, Any]:
        """What it holds, as its maker gave it."""
        return self.header["description"]

    @property
    def code(self) -> str:
        """The `code_version()` that made it."""
        return self.header["code"]

    @classmethod
    def create(cls, folder: Path, kind: str, description: Mapping[str, Any]) -> "Store":
        """In a new folder, or an empty one. `description`: JSON values.

        **Raises:** `FolderError` if the folder holds anything.
        """
        if folder.exists() and not folder.is_dir():
            raise FolderError(f"`{folder}` is no folder.")
        if folder.exists() and any(f.suffix != ".partial" for f in folder.iterdir()):
            raise FolderError(f"`{folder}` holds something that is no {kind}.")
        (folder / ROWS).mkdir(parents=True, exist_ok=True)
        made = cls(folder, _header(kind, description))
        made._write_header()
        return made

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """To read it, whatever made it.

        **Raises:** `FolderError` if there is none, or its header is damaged.
        """
        path = folder / HEADER
        try:
            header = json.loads(path.read_text())
            missing = {"kind", "description", "code", "numerics"} - {*header}
            if missing:
                raise ValueError(f"no {', '.join(sorted(missing))}")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FolderError(f"`{folder}` holds no results: no `{HEADER}`.") from error
        except (ValueError, TypeError) as error:
            raise FolderError(f"`{path}` is damaged: {error}.") from error
        return cls(folder, header)

    @classmethod
    def claim(
        cls,
        folder: Path,
        kind: str,
        description: Mapping[str, Any],
        *,
        grown: Callable[[dict[str, Any]], Mapping[str, Any] | None] | None = None,
    ) -> "Store":
        """To go on with what is there, or to begin where nothing is.

        **Arguments:** `grown`: given another description that is there, returns one
        that has all of both, or `None` if there is none.
        **Raises:** `FolderError` if the folder holds anything else, or results of
        another version.
        """
        if not (folder / HEADER).exists():
            return cls.create(folder, kind, description)
        there = cls.open(folder)
        wanted = _header(kind, description)
        lines = _differences(there.header, wanted)
        if lines:
            raise FolderError("\n  ".join([f"`{folder}` can't go on here:", *lines]))
        if there.description == wanted["description"]:
            return there
        more = None if grown is None else grown(there.description)
        if more is None:
            raise FolderError(f"`{folder}` holds another {kind}.")
        if more == there.description:
            return there
        there = cls(folder, {**there.header, "description": _plain(more)})
        with there._locked():
            there._write_header()
        return there

    @contextmanager
    def writing(self) -> Iterator[list[str]]:
        """While this process may write, and no other.

        What a kill left behind is mended first. **Returns:** the files that were
        damaged, which are set aside: their jobs are not finished.
        **Raises:** `FolderError` if another process is writing.
        """
        with self._locked():
            yield self._mend()

    def finished(self) -> set[str]:
        """The jobs whose rows are here, whole."""
        digests = self._digests()
        return {n for n, p in self._files() if _is_whole(p, digests.get(n))}

    def expect(self, names: Iterable[str]) -> None:
        """Note which jobs are asked for."""
        noted = [(name, time.time()) for name in names]
        with self._index() as index:
            index.executemany(
                "INSERT INTO jobs (name, state, started) VALUES (?, 'waiting', ?) "
                "ON CONFLICT(name) DO UPDATE SET state = 'waiting', error = NULL",
                noted,
            )

    def add(self, name: str, rows: list[Row], worker: str, lost: bool = False) -> None:
        """Keep the rows of a job: the file first, then its line in the index.

        **Raises:** `FullDiskError`.
        """
        path = self.folder / ROWS / f"{quote(name, safe='')}.parquet"
        content = _encoded([{**row, "job": name, "worker": worker} for row in rows])
        write_whole(path, content)
        errors = [row["error"] for row in rows if row.get("error")]
        with self._index() as index:
            index.execute(
                "INSERT INTO jobs (name, state, points, failed, worker, ended, error, "
                "digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE "
                "SET state = excluded.state, points = excluded.points, "
                "failed = excluded.failed, worker = excluded.worker, "
                "ended = excluded.ended, error = excluded.error, "
                "digest = excluded.digest",
                (name, "lost" if lost else "finished", len(rows), len(errors), worker)
                + (time.time(), errors[0] if errors else None, _digest(content)),
            )

    def table(self) -> "DataFrame":
        """Every row, the jobs in alphabetic order; columns that a job has not: null.

        **Raises:** `FolderError` that names a damaged file.
        """
        finished = self.finished()
        for name, path in self._files():
            if name not in finished:
                raise FolderError(
                    f"`{path}` is damaged. Run the same again: it is made anew."
                )
        return self.whole()

    def whole(self) -> "DataFrame":
        """The rows of every file that is not damaged."""
        import polars

        finished = self.finished()
        paths = [path for name, path in self._files() if name in finished]
        if not paths:
            return polars.DataFrame()
        frames = [polars.read_parquet(path) for path in paths]
        return polars.concat(frames, how="diagonal_relaxed")

    def status(self) -> "DataFrame":
        """The index: a row a job, also of those that wait."""
        import polars

        with self._index() as index:
            found = index.execute("SELECT * FROM jobs ORDER BY name")
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found]
        return polars.DataFrame(rows, infer_schema_length=None)

    def lost(self) -> set[str]:
        """The jobs that were lost with their workers."""
        found = self._asked("SELECT name FROM jobs WHERE state = 'lost'")
        return {name for (name,) in found}

    def forget(self, names: Iterable[str]) -> None:
        """Delete these jobs' rows."""
        known = list(names)
        for name in known:
            path = self.folder / ROWS / f"{quote(name, safe='')}.parquet"
            path.unlink(missing_ok=True)
        with self._index() as index:
            index.executemany("DELETE FROM jobs WHERE name = ?", [(n,) for n in known])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A lock that the operating system releases, however this process ends.
        lock = sqlite3.connect(self.folder / LOCK, timeout=0, isolation_level=None)
        with closing(lock):
            try:
                lock.execute("PRAGMA journal_mode=MEMORY")
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise FolderError(
                    f"Another process is writing to `{self.folder}`: wait for it, or "
                    "take another folder."
                ) from error
            yield

    def _files(self) -> list[tuple[str, Path]]:
        paths = sorted((self.folder / ROWS).glob("*.parquet"))
        return [(unquote(path.stem), path) for path in paths]

    def _digests(self) -> dict[str, str]:
        return dict(self._asked("SELECT name, digest FROM jobs"))

    def _asked(self, query: str) -> list[tuple[Any, ...]]:
        """What the index says: nothing, where it is lost or damaged."""
        if not (self.folder / STATUS).exists():
            return []
        try:
            with self._index() as index:
                return index.execute(query).fetchall()
        except sqlite3.DatabaseError:
            return []

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        path = self.folder / STATUS
        try:
            with closing(sqlite3.connect(path)) as index, index:
                index.execute(f"CREATE TABLE IF NOT EXISTS jobs ({COLUMNS})")
                yield index
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (SQLITE_FULL, SQLITE_IOERR):
                raise full_disk(path, PAGES, OSError(ENOSPC, f"{error}")) from error
            raise

    def _mend(self) -> list[str]:
        for left in self.folder.rglob("*.partial"):
            left.unlink()
        digests = self._digests()
        if not digests:
            (self.folder / STATUS).unlink(missing_ok=True)
        damaged = []
        for name, path in self._files():
            if not _is_whole(path, digests.get(name)):
                path.replace(path.with_suffix(".damaged"))
                damaged.append(str(path))
            elif name not in digests or digests[name] is None:
                self._note(name, path)
        kept = [(name,) for name, _ in self._files()]
        with self._index() as index:
            index.execute("CREATE TEMP TABLE kept (name TEXT)")
            index.executemany("INSERT INTO kept VALUES (?)", kept)
            index.execute(
                "UPDATE jobs SET state = 'waiting', digest = NULL "
                "WHERE name NOT IN (SELECT name FROM kept)"
            )
        return damaged

    def _note(self, name: str, path: Path) -> None:
        import polars

        content = path.read_bytes()
        frame = polars.read_parquet(io.BytesIO(content))
        failed = 0
        if "error" in frame.columns:
            failed = sum(1 for error in frame["error"] if error)
        worker = frame["worker"][0] if frame.height else ""
        with self._index() as index:
            index.execute(
                "INSERT OR REPLACE INTO jobs (name, state, points, failed, worker, "
                "ended, digest) VALUES (?, 'finished', ?, ?, ?, ?, ?)",
                (name, frame.height, failed, worker, path.stat().st_mtime)
                + (_digest(content),),
            )

    def _write_header(self) -> None:
        text = json.dumps(self.header, indent=2) + "\n"
        write_whole(self.folder / HEADER, text.encode())


def discard(folder: Path) -> None:
    """Delete the results that the folder holds, and nothing else.

    **Raises:** `FolderError` if another process is writing there.
    """
    if not (folder / HEADER).exists():
        return
    with Store(folder, {}).writing():
        for suffix in ("parquet", "damaged"):
            for path in (folder / ROWS).glob(f"*.{suffix}"):
                path.unlink()
        for name in (STATUS, SUMMARY, HEADER):
            (folder / name).unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)
    if not any((folder / ROWS).iterdir()):
        (folder / ROWS).rmdir()


def _header(kind: str, description: Mapping[str, Any]) -> dict[str, Any]:
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    versions = {name: version(name) for name in ("pnnjax", "jax", "jaxlib", "equinox")}
    return {
        "kind": kind,
        "code": code_version(),
        "numerics": numerics(),
        "made with": versions | machine,
        "description": _plain(description),
    }


def _plain(description: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(description))


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    if there["kind"] != here["kind"]:
        return [f"it holds a {there['kind']}, and this is a {here['kind']}"]
    pairs = {"code of pnnjax": (there["code"], here["code"])}
    old, new = there["numerics"], here["numerics"]
    pairs |= {name: (old.get(name), new.get(name)) for name in {**old, **new}}
    return [
        f"{name}: {was} there, {now} here"
        for name, (was, now) in pairs.items()
        if was != now
    ]


def _encoded(rows: list[Row]) -> bytes:
    import polars

    buffer = io.BytesIO()
    frame = polars.DataFrame(rows, infer_schema_length=None, strict=False)
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _is_whole(path: Path, digest: str | None) -> bool:
    content = path.read_bytes()
    if digest is not None:
        return _digest(content) == digest
    import polars

    try:
        polars.read_parquet(io.BytesIO(content))
    except (Exception, polars.exceptions.PanicException):
        return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
