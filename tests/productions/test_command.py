"""``run_production``: from a file, again and again, until it has ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from inference.tests import factories as inference_factories
from productions.models import ManifestRow, Production
from tests.productions import factories
from tokens.tests.commands import run

pytestmark = pytest.mark.django_db(transaction=True)


def written(folder: Path, **more) -> Path:
    (folder / "face.jpg").write_bytes(inference_factories.picture(seed=1))
    (folder / "shot.jpg").write_bytes(inference_factories.picture(seed=2))
    consent = {"kind": "self", "text_version": "1"}
    document = {
        "name": "Film",
        "people": [{"ref": "ada", "face_file": "face.jpg", "consent": consent}],
        "rows": [{"person": "ada", "target_file": "shot.jpg"}] * 2,
    }
    path = folder / "film.json"
    path.write_text(json.dumps(document | more))
    return path


def ordered(studio, **more) -> dict[str, str]:
    return {"owner": studio.user_ref, "actor": factories.maker().user_ref, **more}


def test_each_run_goes_on_where_the_one_before_stood(tmp_path, capsys, fast_swap):
    studio = factories.studio()
    path, who = written(tmp_path, budget=3), ordered(studio)
    planned = run(capsys, "run_production", str(path), dry_run=True, **who)
    assert (planned["rows"], Production.objects.count()) == (2, 0)

    begun = run(capsys, "run_production", str(path), **who)
    assert (begun["state"], begun["funded"], begun["held"]) == ("running", 3, 2)
    first = ManifestRow.objects.order_by("row_no").first()
    assert run(capsys, "run_production", str(path), **who) == begun
    assert ManifestRow.objects.order_by("row_no").first() == first
    factories.run_jobs(Production.objects.get())

    out = tmp_path / "rows.csv"
    ended = run(capsys, "run_production", str(path), wait=True, report=out, **who)
    assert (ended["state"], ended["settled"], ended["returned"], ended["left"]) == (
        "finished",
        2,
        1,
        0,
    )
    assert [line.split(",")[4] for line in out.read_text().splitlines()[1:]] == ["succeeded"] * 2
    call_command("run_production", str(path), **who)
    assert "finished" in capsys.readouterr().out


def test_what_is_wrong_ends_with_its_code(tmp_path, capsys):
    studio = factories.studio()
    who = ordered(studio)
    missing = {"people": [{"ref": "ada", "face_file": "none.jpg"}]}
    for path in (
        tmp_path / "none.json",
        written(tmp_path, surprise=1),
        written(tmp_path, **missing),
        written(tmp_path, people=[{"ref": "ada"}]),
        written(tmp_path, rows="none"),
    ):
        with pytest.raises(CommandError) as failure:
            call_command("run_production", str(path), **who)
        assert failure.value.returncode == 2, path
    with pytest.raises(CommandError, match="--actor"):
        call_command("run_production", str(written(tmp_path)), **(who | {"actor": "nobody"}))

    faulty = written(tmp_path, rows=[{"person": "bob", "target_file": "shot.jpg"}])
    refused = run(capsys, "run_production", str(faulty), returncode=1, **who)
    assert refused["error"]["code"] == "production_empty"
    assert factories.recharges() == 0
