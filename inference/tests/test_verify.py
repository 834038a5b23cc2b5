"""Whether a file came from here, asked by strangers."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from inference import decoding, handlers, labelling
from inference.models import ReleasedFile, SwapJob
from inference.pipeline.labels.writing import Labeller
from inference.pipeline.video.types import ContainerName
from inference.tests import factories
from inference.tests.pipeline.labels.samples import (
    labelled_video,
    make_mark,
    make_signer,
    noise,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fast_swap")]
URL = "/api/v1/verify"


@pytest.fixture
def released(media_root) -> tuple[SwapJob, bytes]:
    """A job's result, and the job."""
    target = factories.picture(width=320, height=240, format="PNG")
    job = factories.make_job(owner_id=factories.make_user(tokens=5).pk, target=target)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    return job, (media_root / job.result_key).read_bytes()


def ask(data: bytes, *, name: str = "file.bin"):
    return APIClient().post(URL, {"file": SimpleUploadedFile(name, data)}, format="multipart")


def saved_again(data: bytes) -> bytes:
    """The pixels and the XMP, as an image program keeps them, without the manifest."""
    with Image.open(io.BytesIO(data)) as picture:
        out = io.BytesIO()
        picture.convert("RGB").save(out, "JPEG", xmp=picture.info["xmp"])
    return out.getvalue()


def test_the_file_itself_is_known_by_its_digest_alone(released, client_of):
    job, data = released
    day = ReleasedFile.objects.get().made_on
    expected = {
        "origin": "original",
        "sha256": job.result_sha256,
        "kind": "picture",
        "made_on": day.isoformat(),
        "labels": ["visible", "c2pa", "iptc", "aigc"],
    }

    answers = [
        ask(data),
        APIClient().post(URL, {"sha256": job.result_sha256.upper()}, format="json"),
        APIClient().get(f"{URL}/{job.result_sha256}"),
    ]

    assert [answer.json() for answer in answers] == [expected] * 3
    # It stays known when the result is gone.
    assert client_of(job.owner).delete(f"/api/v1/jobs/{job.pk}/result").status_code == 204
    assert ask(data).json() == expected


def test_what_we_signed_is_known_without_the_digest(released):
    _job, data = released
    ReleasedFile.objects.all().delete()

    answer = ask(data).json()

    assert (answer["origin"], answer["labels"]) == ("original", ["c2pa", "iptc", "aigc"])
    assert answer["made_on"] is not None


def test_an_edited_file_is_told_from_the_original(released):
    _job, data = released
    changed = bytearray(data)
    changed[-len(data) // 4] ^= 1

    for edited, labels in (
        (bytes(changed), ["c2pa", "iptc", "aigc"]),
        (saved_again(data), ["iptc", "aigc"]),
    ):
        answer = ask(edited).json()
        assert (answer["origin"], answer["kind"]) == ("edited", "picture")
        assert answer["labels"] == labels
        assert answer["sha256"] == hashlib.sha256(edited).hexdigest()


def test_a_video_is_known_by_its_labels(tmp_path):
    labels = labelling.for_result(None)
    origins: dict[ContainerName, str] = {"mp4": "original", "webm": "edited"}
    for name, origin in origins.items():
        path = labelled_video(tmp_path, name, labeller=labels.labeller)
        answer = ask(path.read_bytes()).json()
        # Nothing but the digest tells an unchanged WebM from a changed one.
        assert (answer["origin"], answer["kind"]) == (origin, "video")


def test_strangers_files_are_unknown():
    stranger = Labeller(mark=make_mark(), signer=make_signer(organization="Somebody"))
    for data in (
        factories.picture(),
        stranger.picture(noise(), format="webp").data,
        b"",
        b"no media at all",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\0\0\0\x18ftypmp42" + b"\xff" * 5000,
        b"\x1aE\xdf\xa3webm" + b"\x80" * 500,
    ):
        answer = ask(data).json()
        assert answer["origin"] == "unknown"
        assert (answer["kind"], answer["made_on"], answer["labels"]) == (None, None, [])


def test_a_file_that_breaks_its_reader_is_unknown(released, monkeypatch):
    _job, data = released
    ReleasedFile.objects.all().delete()
    decoder = decoding.Decoder(environment={"DECODE_FAULT": "crash"})
    monkeypatch.setattr(decoding, "decoder", decoder)

    assert ask(data).json()["origin"] == "unknown"


def test_nothing_leads_to_a_person(released):
    job, data = released

    said = json.dumps(ask(saved_again(data)).json()) + json.dumps(ask(data).json())

    for private in (str(job.pk), job.owner.username, job.owner.user_ref, str(job.quote_id)):
        assert private not in said
    assert {field.name for field in ReleasedFile._meta.get_fields()} == {
        "id",
        "sha256",
        "produce_id",
        "content_type",
        "made_on",
        "labels",
    }


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        ({}, "json", 400, "invalid_request"),
        ({"sha256": "12"}, "json", 400, "invalid_request"),
        ({"sha256": "g" * 64}, "json", 400, "invalid_request"),
        ({"other": "x"}, "multipart", 400, "invalid_request"),
        ([], "json", 400, "invalid_request"),
    ],
)
def test_bad_questions_get_an_answer_that_helps(data, kind, status, code):
    answer = APIClient().post(URL, data, format=kind)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_other_bad_questions():
    assert APIClient().get(f"{URL}/{'0' * 63}").json()["code"] == "invalid_request"
    assert APIClient().post(URL, b"x", content_type="text/plain").status_code == 415


def test_size_and_rate_are_limited(settings):
    settings.VERIFY_BYTES_MAX = 1000
    settings.VERIFY_RATE = "2/m"
    assert ask(b"x" * 2000).json()["code"] == "upload_too_large"
    assert ask(b"x" * 100_000).json()["code"] == "upload_too_large"
    answer = ask(b"x")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


def test_the_page_answers_without_an_account_or_a_script(client: Client, released):
    _job, data = released

    empty = client.get("/verify")
    yes = client.post("/verify", {"file": SimpleUploadedFile("a.png", data)})
    edited = client.post("/verify", {"file": SimpleUploadedFile("a.jpg", saved_again(data))})
    unknown = client.post("/verify", {"sha256": "0" * 64})

    assert "Does a file come from here?" in empty.content.decode()
    assert "Yes, this file was made here" in yes.content.decode()
    assert "GB 45438" in yes.content.decode()
    assert "changed since" in edited.content.decode()
    assert "We do not know this file" in unknown.content.decode()
    for sent in ({}, {"sha256": "12"}):
        refused = client.post("/verify", sent)
        assert refused.status_code == 400
        assert 'role="alert"' in refused.content.decode()
