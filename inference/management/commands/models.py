"""``manage.py models``: everything an operator does with model files."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from facefusion_site.common.progress import Progress
from inference.inventory import ModelRow, model_row
from inference.management.model_report import (
    as_json,
    models_table,
    time_model,
    timings_table,
)
from inference.pipeline.acquire.importing import Trust, import_file
from inference.pipeline.acquire.pull import PullOptions, pull_model
from inference.pipeline.builtin.build import BuildReport, build_builtin_models
from inference.pipeline.engine import EngineConfig
from inference.pipeline.errors import PipelineError
from inference.pipeline.registry.imports import ImportRecord
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import check_licence
from inference.pipeline.registry.spec import ModelSpec, Registry
from inference.pipeline.sessions.pool import SessionPool
from inference.runtime import engine_config

_BENCH_RUNS = 20


class Command(BaseCommand):
    """Exit code 0: done, every model asked for is in order; 1: at least one is not."""

    help = "List, build, download, import, verify and time the model files in MODELS_DIR."

    registry: Registry
    config: EngineConfig

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """One action with its own options."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def add(name: str, text: str) -> argparse.ArgumentParser:
            action: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
            folder = Path(settings.MODELS_DIR)
            action.add_argument("--dir", type=Path, default=folder, help="instead of MODELS_DIR")
            return action

        add("build", "Make the built-in models from the installed weight packages.")
        listing = add("list", "Show rights, size and state of every described model.")
        listing.add_argument("--task", default="", help="only models of this task")
        pull = add("pull", "Download models and what they need.")
        pull.add_argument("keys", nargs="+", metavar="KEY")
        taking = add("import", "Take a model from a file.")
        taking.add_argument("key", metavar="KEY")
        taking.add_argument("file", type=Path, metavar="FILE")
        verify = add(
            "verify", "Check the named models, or the built-in ones and all that are there."
        )
        verify.add_argument("keys", nargs="*", metavar="KEY")
        bench = add("bench", "Time models on this machine, on input of their own size.")
        bench.add_argument("keys", nargs="+", metavar="KEY")
        bench.add_argument("--runs", type=int, default=_BENCH_RUNS, metavar="N")
        for action in (listing, verify, bench):
            action.add_argument("--json", action="store_true", help="for programs")
        for action in (pull, taking):
            action.add_argument("--sha256", default="", help="the checksum you trust")
            action.add_argument(
                "--trust-first-use",
                action="store_true",
                help="pin whatever comes, where no checksum is known",
            )

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the action.

        Raises:
            CommandError: it failed, or a model is missing, damaged or not allowed.
        """
        try:
            self.config = replace(engine_config(), model_dir=options["dir"])
            self.registry = load_registry(extra=self.config.extra_models)
            getattr(self, f"_{options['action']}")(options)
        except (PipelineError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _build(self, _options: dict[str, Any]) -> None:
        started_at = time.monotonic()

        def on_done(report: BuildReport) -> None:
            verb = "built" if report.is_new else "already there"
            size = f"{report.spec.size_bytes / 1e6:.1f} MB"
            self.stdout.write(f"  {report.spec.file}: {verb}, {size}")

        self.stdout.write(f"Built-in models in {self.config.model_dir}:")
        reports = build_builtin_models(
            registry=self.registry, model_dir=self.config.model_dir, on_done=on_done
        )
        new_count = sum(report.is_new for report in reports)
        seconds = time.monotonic() - started_at
        self.stdout.write(
            self.style.SUCCESS(
                f"{new_count} built, {len(reports) - new_count} verified, {seconds:.1f} s"
            )
        )

    def _list(self, options: dict[str, Any]) -> None:
        task = options["task"]
        specs = self.registry.by_task(task) if task else tuple(self.registry.models.values())
        if not specs:
            tasks = sorted({spec.task for spec in self.registry.models.values()})
            raise ValueError(f"no model has the task '{task}'; tasks are {', '.join(tasks)}")
        self._print(self._rows(specs), is_json=options["json"])

    def _verify(self, options: dict[str, Any]) -> None:
        keys = options["keys"]
        specs: Sequence[ModelSpec] = [self.registry.spec(key) for key in keys] or [
            spec
            for spec in self.registry.models.values()
            if spec.origin is not None or (self.config.model_dir / spec.file).is_file()
        ]
        rows = self._rows(specs)
        self._print(rows, is_json=options["json"])
        unusable = [row.key for row in rows if not row.is_usable]
        if unusable:
            raise CommandError(f"not usable: {', '.join(unusable)}")
        if not options["json"]:
            self.stdout.write(self.style.SUCCESS(f"{len(rows)} models in order"))

    def _import(self, options: dict[str, Any]) -> None:
        spec, path = self.registry.spec(options["key"]), options["file"]
        check_licence(registry=self.registry, spec=spec, policy=self.config.policy)
        progress = Progress(self.stderr)
        total = path.stat().st_size if path.is_file() else 0
        done = 0

        def on_bytes(count: int) -> None:
            nonlocal done
            done += count
            progress.reach(done, total, spec.file)

        try:
            record = import_file(
                spec=spec,
                path=path,
                model_dir=self.config.model_dir,
                trust=_trust(options),
                on_bytes=on_bytes,
            )
        finally:
            progress.finish()
        self._say_imported(spec, record)

    def _pull(self, options: dict[str, Any]) -> None:
        specs = self._with_requirements(options["keys"])
        if options["sha256"] and len(specs) > 1:
            raise ValueError(
                "--sha256 is the checksum of one file, but these are needed: "
                + ", ".join(spec.key for spec in specs)
            )
        for key in options["keys"]:
            check_licence(
                registry=self.registry, spec=self.registry.spec(key), policy=self.config.policy
            )
        for spec in specs:
            self._pull_one(spec, _trust(options))

    def _pull_one(self, spec: ModelSpec, trust: Trust) -> None:
        progress = Progress(self.stderr)
        try:
            record = pull_model(
                spec=spec,
                model_dir=self.config.model_dir,
                trust=trust,
                options=PullOptions(is_offline=settings.MODELS_OFFLINE),
                on_progress=lambda done, total: progress.reach(done, total, spec.file),
            )
        finally:
            progress.finish()
        if record is None:
            self.stdout.write(f"{spec.key}: already there")
        else:
            self._say_imported(spec, record)

    def _bench(self, options: dict[str, Any]) -> None:
        if options["runs"] < 1:
            raise ValueError("--runs must be at least 1")
        pool = SessionPool(
            registry=self.registry,
            model_dir=self.config.model_dir,
            policy=self.config.policy,
            options=self.config.sessions,
            memory_budget_bytes=self.config.memory_budget_bytes,
        )
        progress = Progress(self.stderr, total=len(options["keys"]))
        timings = []
        try:
            for key in options["keys"]:
                timings.append(time_model(key, pool=pool, runs=options["runs"]))
                progress.step(key)
        finally:
            progress.finish()
            pool.close()
        if options["json"]:
            self.stdout.write(json.dumps(as_json(timings), indent=2))
        else:
            self.stdout.write("\n".join(timings_table(timings)))

    def _with_requirements(self, keys: Sequence[str]) -> list[ModelSpec]:
        """The models and all that they need, each once, needs first."""
        ordered: dict[str, ModelSpec] = {}

        def visit(key: str) -> None:
            spec = self.registry.spec(key)
            for needed in spec.requires:
                visit(needed)
            ordered.setdefault(key, spec)

        for key in keys:
            visit(key)
        return list(ordered.values())

    def _rows(self, specs: Sequence[ModelSpec]) -> list[ModelRow]:
        progress = Progress(self.stderr, total=len(specs))
        rows = []
        for spec in specs:
            progress.step(spec.key)
            rows.append(
                model_row(
                    spec,
                    registry=self.registry,
                    policy=self.config.policy,
                    model_dir=self.config.model_dir,
                )
            )
        progress.finish()
        return rows

    def _print(self, rows: Sequence[ModelRow], *, is_json: bool) -> None:
        if is_json:
            self.stdout.write(json.dumps(as_json(rows), indent=2))
        else:
            self.stdout.write("\n".join(models_table(rows)))

    def _say_imported(self, spec: ModelSpec, record: ImportRecord) -> None:
        self.stdout.write(
            self.style.SUCCESS(
                f"{spec.key}: {record.size_bytes / 1e6:.1f} MB, SHA-256 {record.sha256}, "
                f"vouched for by {record.trust}"
            )
        )


def _trust(options: dict[str, Any]) -> Trust:
    return Trust(sha256=options["sha256"].lower(), is_first_use=options["trust_first_use"])
