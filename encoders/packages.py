"""Optional packages: one clear line where one is missing, and their versions for the record."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from qrels.errors import MissingPackageError


def needed(package: str, extra: str) -> None:
    """MissingPackageError, with the extra that brings it, where the package is not installed."""
    if find_spec(package) is None:
        raise MissingPackageError(
            f'this encoder needs the package {package}; pip install "retrieval-bench[{extra}]"'
        )


def installed(package: str) -> str:
    """The package's version, "none" where it is not installed; nothing is imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
