"""Files in and out: UTF-8 with or without BOM, plain or gzip, written whole or not at all."""

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qrels.errors import DataError

FAST_FROM = 16 << 20
"""Files of so many bytes are read by compiled loops; with less json is done before they load."""

BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"


def read_data(path: Path) -> bytes:
    """The file's content, unpacked where it is gzip, without its BOM, checked to be UTF-8.

    Raises DataError where it cannot be read, is empty, not UTF-8 (naming the line) or cut off.
    """
    try:
        if stat.S_ISCHR(path.stat().st_mode):  # as /dev/zero, which never ends
            raise DataError(f"{path}: a device; expected a file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if data.startswith(GZIP) or (data and path.suffix == ".gz"):
        data = unpacked(data, path)
    data = data.removeprefix(BOM)
    if not data.strip():
        raise DataError(f"{path}: the file is empty")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not valid UTF-8"
        ) from error
    return data


def unpacked(data: bytes, path: Path) -> bytes:
    """The gzip *data* of *path* unpacked; DataError where it is damaged or beyond all measure."""
    import gzip  # these are loaded where they are needed: `bench evaluate` starts at once
    import zlib

    limit = unpack_limit(len(data))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            found = file.read(limit + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip: {error}") from error
    if len(found) > limit:
        raise DataError(
            f"{path}: unpacks to more than {limit:,} bytes, from {len(data):,}; "
            "BENCH_UNPACK_LIMIT=BYTES allows more"
        )
    return found


def unpack_limit(size: int) -> int:
    """How large a gzip file of *size* bytes may come out; text packs 3 to 10 times.

    256 MB or 100 times the packed size, whichever is more, or BENCH_UNPACK_LIMIT, in bytes.
    """
    named = os.environ.get("BENCH_UNPACK_LIMIT", "")
    return int(named) if named.isascii() and named.isdigit() else max(256 << 20, 100 * size)


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:  # free JSON
    """Each line number with the JSON object on it; blank lines are skipped.

    Raises DataError where a line is not one object of valid JSON and Unicode.
    """
    blank = True
    for number, line in enumerate(read_data(path).decode().split("\n"), 1):
        if not line.strip():
            continue
        blank = False
        where = f"{path}:{number}"
        try:
            found = json.loads(line)
            if "\\u" in line:  # an escape may name half a surrogate pair
                json.dumps(found, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise DataError(
                f"{where}: not valid JSON: {error.msg}, column {error.colno}"
            ) from error
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: holds half a surrogate pair; expected Unicode") from error
        except (RecursionError, ValueError) as error:  # nested too deep; a number too long
            reason = "nested too deep" if isinstance(error, RecursionError) else error
            raise DataError(f"{where}: cannot read this JSON: {reason}") from error
        if not isinstance(found, dict):
            raise DataError(f"{where}: {shown(found)} is not a JSON object")
        yield number, found
    if blank:  # white space that only Unicode calls so
        raise DataError(f"{path}: the file is empty")


def read_toml(path: Path) -> dict[str, Any]:  # free TOML
    """The table in a TOML file, with or without a BOM; DataError where it cannot be read."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deep") from error
    except ValueError as error:  # broken TOML or UTF-8, a NUL in the name, a number too long
        raise DataError(f"{path}: {error}") from error


def write_whole(path: Path, text: str) -> None:
    """Write *text* as UTF-8, gzipped where the name ends in .gz; whole or not at all.

    The bytes depend on the text alone: gzip carries neither time nor name. Makes the folder.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: half a surrogate pair cannot be written as UTF-8") from error
    if path.suffix == ".gz":
        import gzip

        packed = io.BytesIO()
        # not gzip.compress: the header's system byte differs between Python versions
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
            file.write(data)
        data = packed.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.urandom(16).hex()}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)  # noqa: PTH105  this name says that it replaces
    finally:
        beside.unlink(missing_ok=True)


def find(folder: Path, name: str) -> Path:
    """folder/name or folder/name.gz, whichever is there; DataError where neither is."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: has no {name} or {name}.gz")


def is_folder(path: Path) -> bool:
    """Whether *path* is a folder; a name that no file system takes is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def shown(value: object) -> str:
    """*value* as a message shows it: its repr, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
