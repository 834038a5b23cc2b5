"""A whole site: database, broker, web server, worker. Everything that it runs on is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from facefusion_site.embedded import processes
from tests.crash.processes import Place, run
from tests.crash.scenario import migrate
from tests.crash.servers import CrashingServer
from tests.exactly_once.parts import Broker, Program, await_answer

LEASE_S = 2
# So many that no kill is the one after which a job is given up.
ATTEMPTS_MAX = 50


class Site:
    """Starts in an empty folder; ``kill`` ends one part hard and starts it again."""

    def __init__(self, home: Path, *, models: Path) -> None:
        self._database = CrashingServer(home)
        self._broker = Broker(home)
        self.url = f"http://127.0.0.1:{processes.free_port()}"
        self.media = home / "media"
        self._environment = {
            "DJANGO_SETTINGS_MODULE": "tests.exactly_once.settings",
            "DATABASE_URL": self._database.url,
            "REDIS_URL": self._broker.url,
            "MEDIA_ROOT": str(self.media),
            "MODELS_DIR": str(models),
            "JOB_LEASE_S": str(LEASE_S),
            "JOB_ATTEMPTS_MAX": str(ATTEMPTS_MAX),
            "JOBS_AT_ONCE": '{"free": 16}',
            "RATELIMIT_ENABLE": "false",
            "WEB_BIND": self.url.removeprefix("http://"),
            "WEB_WORKERS": "2",
            "LOG_LEVEL": "WARNING",
        }
        self._web = Program(
            "web", ["gunicorn", "facefusion_site.wsgi", "--config", "gunicorn.conf.py"], log=home
        )
        worker = "celery --app facefusion_site.celery worker --pool solo --queues swaps,default"
        self._worker = Program(
            "worker",
            [*worker.split(), "--beat", "--schedule", str(home / "beat")],
            log=home,
        )
        self.kills: dict[str, Callable[[], None]] = {
            "web": self._kill_web,
            "worker": self._kill_worker,
            "broker": self._kill_broker,
            "database": self._kill_database,
        }

    @property
    def place(self) -> Place:
        """Where a process of the test works when it looks into the site's database."""
        return Place(database=self._database.database)

    @property
    def database_url(self) -> str:
        """For a connection of the test's own."""
        return self._database.url

    def start(self) -> None:
        """Start all parts, with the schema in the database."""
        self._database.start()
        assert run(migrate, place=self.place).is_done
        self._broker.start()
        self._web.start(self._environment)
        self._worker.start(self._environment)
        await_answer(self.url, hint=self._web)

    def stop(self) -> None:
        """End all parts."""
        self._worker.kill()
        self._web.kill()
        self._broker.stop()
        self._database.stop()

    def logs(self) -> str:
        """What the parts had to say."""
        return f"web:\n{self._web.log()}\nworker:\n{self._worker.log()}"

    def _kill_web(self) -> None:
        self._web.kill()
        self._web.start(self._environment)
        await_answer(self.url, hint=self._web)

    def _kill_worker(self) -> None:
        self._worker.kill()
        self._worker.start(self._environment)

    def _kill_broker(self) -> None:
        self._broker.kill()
        self._broker.start()

    def _kill_database(self) -> None:
        self._database.crash()
        self._database.start()
