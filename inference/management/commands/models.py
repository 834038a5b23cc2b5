"""``manage.py models``: build, list and verify the model files of this machine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inference.pipeline.builtin.build import BuildReport, build_builtin_models
from inference.pipeline.errors import ModelNotAllowedError, PipelineError
from inference.pipeline.registry.files import file_state
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy, check_licence
from inference.pipeline.registry.spec import ModelSpec, Registry

_HEADINGS = ("MODEL", "TASK", "LICENCE", "COMMERCIAL", "SIZE", "STATE")


class Command(BaseCommand):
    """Exit code 0: every model is in order; 1: at least one is not."""

    help = "Build, list or verify the model files in MODELS_DIR."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """One action and an optional folder."""
        parser.add_argument("action", choices=("build", "list", "verify"))
        parser.add_argument(
            "--dir", type=Path, default=Path(settings.MODELS_DIR), help="instead of MODELS_DIR"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the action.

        Raises:
            CommandError: the build failed, or a model is missing, damaged or not allowed.
        """
        registry, model_dir = load_registry(), options["dir"]
        if options["action"] == "build":
            self._build(registry, model_dir)
        elif options["action"] == "list":
            self._print_table(registry, model_dir)
        else:
            self._verify(registry, model_dir)

    def _build(self, registry: Registry, model_dir: Path) -> None:
        started_at = time.monotonic()

        def on_done(report: BuildReport) -> None:
            verb = "built" if report.is_new else "already there"
            self.stdout.write(f"  {report.spec.file}: {verb}, {_size(report.spec.size_bytes)}")

        self.stdout.write(f"Built-in models in {model_dir}:")
        try:
            reports = build_builtin_models(registry=registry, model_dir=model_dir, on_done=on_done)
        except (PipelineError, OSError) as error:
            raise CommandError(str(error)) from error
        new_count = sum(report.is_new for report in reports)
        seconds = time.monotonic() - started_at
        self.stdout.write(
            self.style.SUCCESS(
                f"{new_count} built, {len(reports) - new_count} verified, {seconds:.1f} s"
            )
        )

    def _print_table(self, registry: Registry, model_dir: Path) -> list[str]:
        """Print one line per model; return the keys of those that cannot be used."""
        rows, unusable = [_HEADINGS], []
        for spec in registry.models.values():
            state = _state(registry, spec, model_dir)
            if state != "ok":
                unusable.append(spec.key)
            cleared = "yes" if spec.commercial_ok else "no"
            size = _size(spec.size_bytes)
            rows.append((spec.key, spec.task, spec.licence, cleared, size, state))
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        return unusable

    def _verify(self, registry: Registry, model_dir: Path) -> None:
        unusable = self._print_table(registry, model_dir)
        if unusable:
            raise CommandError(f"not usable: {', '.join(unusable)}")
        self.stdout.write(self.style.SUCCESS(f"{len(registry.models)} models in order"))


def _state(registry: Registry, spec: ModelSpec, model_dir: Path) -> str:
    try:
        check_licence(
            registry=registry, spec=spec, policy=LicencePolicy(name=settings.MODEL_POLICY)
        )
    except ModelNotAllowedError:
        return "not allowed"
    return file_state(spec, model_dir=model_dir)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
