"""Labels of jobs: on what is downloaded, remembered, and required before anything goes out."""

from __future__ import annotations

import io
import stat

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from PIL import Image

from facefusion_site.settings.labels import label_profiles
from inference import handlers, labelling
from inference.models import ReleasedFile, SwapJob
from inference.pipeline.labels import visible
from inference.pipeline.labels.facts import LabelError, visible_text
from inference.pipeline.labels.reading import read_labels
from inference.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fast_swap")]


@pytest.fixture(autouse=True)
def own_signer(settings, tmp_path):
    """A signer of development that is made for this test."""
    settings.LABEL_DEVELOPMENT_DIR = tmp_path / "data" / "labels"


def run_job(client_of, *, kind: str, profile: str = "") -> tuple[SwapJob, bytes]:
    user = factories.make_user(tokens=5)
    type(user).objects.filter(pk=user.pk).update(label_profile=profile)
    target = factories.picture(width=320, height=240, format=kind)
    job = factories.make_job(owner_id=user.pk, target=target)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    answer = client_of(user).get(f"/api/v1/jobs/{job.pk}/result")
    return job, b"".join(answer.streaming_content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_downloaded_result_carries_its_labels_and_is_remembered(client_of, kind):
    job, data = run_job(client_of, kind=kind)

    found = read_labels(
        io.BytesIO(data), content_type=job.result_content_type, trust=labelling.signer().trust()
    )
    assert (found.signature, found.kinds) == ("ours", ("c2pa", "iptc", "aigc"))
    image_bgr = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1].copy()
    assert visible.likeness(image_bgr, text=visible_text(["cn", "eu"])) >= visible.LIKENESS_MIN
    released = ReleasedFile.objects.get(sha256=job.result_sha256)
    assert str(released.produce_id) == found.produce_id
    assert released.made_on == found.aigc_day
    assert released.labels == ["visible", "c2pa", "iptc", "aigc"]
    for private in (str(job.pk), job.owner.username, job.owner.user_ref):
        assert private.encode() not in data


def test_the_account_decides_on_the_text(client_of):
    _job, data = run_job(client_of, kind="PNG", profile="cn")

    image_bgr = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1].copy()
    assert visible.likeness(image_bgr, text=visible_text(["cn"])) >= visible.LIKENESS_MIN
    assert visible.likeness(image_bgr, text=visible_text(["eu"])) < visible.LIKENESS_MIN


def test_without_a_signer_the_job_fails_and_costs_nothing(client_of, settings):
    settings.LABEL_DEVELOPMENT_DIR = None
    job = factories.make_job(owner_id=factories.make_user(tokens=5).pk)

    assert handlers.run_swap_job(job_id=job.pk) is False

    job.refresh_from_db()
    assert (job.status, job.error_code) == (SwapJob.Status.FAILED, "label_failed")
    assert (job.attempt, job.result_key) == (1, "")
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert books.balance.available == 5
    assert not ReleasedFile.objects.exists()


def test_a_target_without_room_for_a_label_fails_and_costs_nothing():
    user = factories.make_user(tokens=5)
    job = factories.make_job(owner_id=user.pk, target=factories.picture(width=12, height=12))

    handlers.run_swap_job(job_id=job.pk)

    job.refresh_from_db()
    assert job.error_code == "label_failed"
    assert factories.books(job).kinds == ("hold", "release")


def test_an_operator_makes_a_signer_that_production_accepts(settings, tmp_path, capsys):
    settings.LABEL_DEVELOPMENT_DIR = None
    assert "inference.E001" in deploy_faults()
    settings.LABEL_DEVELOPMENT_DIR = tmp_path / "development"
    assert "inference.E002" in deploy_faults()

    call_command("label_signer", tmp_path / "own", organization="Faces Ltd")
    said = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    settings.LABEL_SIGNING_KEY = said["LABEL_SIGNING_KEY"]
    settings.LABEL_SIGNING_CERTIFICATES = said["LABEL_SIGNING_CERTIFICATES"]

    assert "inference.E00" not in deploy_faults()
    assert stat.S_IMODE((tmp_path / "own" / "key.pem").stat().st_mode) == 0o600
    with pytest.raises(CommandError):
        call_command("label_signer", tmp_path / "own", organization="Faces Ltd")
    settings.LABEL_RETIRED_CERTIFICATES = [str(tmp_path / "gone.pem")]
    with pytest.raises(LabelError, match=r"gone\.pem"):
        labelling.own_certificates()


def deploy_faults() -> str:
    try:
        call_command("check", deploy=True)
    except SystemCheckError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("values", [[], ["none"], ["eu", "us"]])
def test_there_is_no_way_to_have_no_label(values):
    with pytest.raises(Exception, match="name at least one of cn, eu"):
        label_profiles(values)
