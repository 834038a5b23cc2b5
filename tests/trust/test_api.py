"""Consents, reports and receipts over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from io import BytesIO, StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from inference.models import MediaAsset
from inference.tests import factories
from tests.trust.factories import report
from trust.models import ErasureReceipt, Takedown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def http(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def upload(http, seed=1) -> str:
    file = BytesIO(factories.picture(seed=seed))
    file.name = "face.jpg"
    answer = http.post("/api/v1/assets", {"file": file}, format="multipart")
    assert answer.status_code == 201, answer.data
    return str(answer.data["id"])


def price(http, source, target):
    body = {"operation": "image_swap", "source_asset_id": source, "target_asset_id": target}
    return http.post("/api/v1/quotes", body, format="json")


def test_consent_from_the_refusal_to_its_revocation(http):
    source, target = upload(http), upload(http, seed=2)
    refused = price(http, source, target)
    assert (refused.status_code, refused.data["code"]) == (403, "consent_required")
    assert refused.data["param"] == "source_asset_id"

    text = http.get("/api/v1/consents/text?language=zh-hans").data
    words = text["texts"]["self"]
    assert hashlib.sha256(words["text"].encode()).hexdigest() == words["sha256"]
    made = http.post(
        "/api/v1/consents",
        {"kind": "self", "text_version": text["version"], "language": "zh-hans"},
        format="json",
    )
    assert made.status_code == 201
    assert made.data["text_sha256"] == words["sha256"]
    assert made.data["covers_account"]
    priced = price(http, source, target)
    assert priced.status_code == 201
    job = http.post(
        "/api/v1/jobs",
        {"quote_id": priced.data["id"]},
        format="json",
        headers={"idempotency-key": "one"},
    ).data

    revoked = http.post(f"/api/v1/consents/{made.data['id']}/revoke")
    assert revoked.status_code == 200
    assert revoked.data["enforced_at"] is not None
    ended = http.get(f"/api/v1/jobs/{job['id']}").data
    assert (ended["state"], ended["error"]["code"]) == ("failed", "consent_revoked")
    assert http.get(f"/api/v1/assets/{source}").data["state"] == "deleted"
    assert price(http, target, target).data["code"] == "consent_revoked"
    listed = http.get("/api/v1/consents").data["items"]
    assert [item["id"] for item in listed] == [made.data["id"]]
    stranger = APIClient()
    stranger.force_authenticate(factories.make_user())
    other = stranger.post(f"/api/v1/consents/{made.data['id']}/revoke")
    assert (other.status_code, other.data["code"]) == (404, "consent_not_found")


def test_an_old_text_is_refused(http):
    body = {"kind": "self", "text_version": "1999"}
    answer = http.post("/api/v1/consents", body, format="json")
    assert (answer.status_code, answer.data["code"]) == (409, "consent_text_outdated")


def test_anybody_reports_and_asks_by_reference(user, settings):
    nobody = APIClient()
    copy = BytesIO(b"the bytes of a copy")
    copy.name = "copy.bin"
    body = {"reason": "intimate", "contact": "a@example.com", "statement": "It is me."}
    made = nobody.post("/api/v1/takedowns", body | {"file": copy}, format="multipart")
    assert made.status_code == 201
    assert made.data["sha256"] == hashlib.sha256(b"the bytes of a copy").hexdigest()
    assert Takedown.objects.get().is_copy_sent
    assert not list(settings.MEDIA_ROOT.rglob("*.bin")), "a copy was kept"
    state = nobody.get(f"/api/v1/takedowns/{made.data['reference']}")
    assert state.data["state"] == "open"
    assert "a@example.com" not in state.content.decode()
    unknown = nobody.get("/api/v1/takedowns/TD-NOBODY")
    assert (unknown.status_code, unknown.data["code"]) == (404, "takedown_not_found")
    empty = nobody.post("/api/v1/takedowns", body, format="json")
    assert (empty.status_code, empty.data["code"]) == (422, "takedown_invalid")
    settings.TAKEDOWN_FILE_BYTES_MAX = 3
    copy = BytesIO(b"longer")
    copy.name = "copy.bin"
    long = nobody.post("/api/v1/takedowns", body | {"file": copy}, format="multipart")
    assert (long.data["code"], long.data["param"]) == ("takedown_invalid", "file")
    settings.TAKEDOWNS_RATE = "1/h"
    cache.clear()
    codes = [nobody.post("/api/v1/takedowns", body, format="json").status_code for _ in range(2)]
    assert codes == [422, 429]


def test_a_deletion_has_a_receipt_that_anybody_can_check(http, tmp_path):
    asset_id = upload(http)
    sha256 = MediaAsset.objects.get(pk=asset_id).sha256
    gone = http.delete(f"/api/v1/assets/{asset_id}")
    assert gone.status_code == 204
    again = http.delete(f"/api/v1/assets/{asset_id}")
    assert (again.status_code, "Erasure-Receipt" in again.headers) == (204, False)
    receipt = http.get(f"/api/v1/erasure-receipts/{gone.headers['Erasure-Receipt']}").json()
    (item,) = receipt["document"]["items"]
    assert (item["id"], item["sha256"], item["kind"]) == (asset_id, sha256, "asset")

    nobody = APIClient()
    check = {"document": receipt["document"], "signature": receipt["signature"]}
    verdict = nobody.post("/api/v1/erasure-receipts/verify", check, format="json").json()
    assert verdict == {"genuine": True, "fault": ""}
    # By the public key alone, without us.
    (key,) = nobody.get("/api/v1/erasure-receipts/keys").json()["items"]
    signed = json.dumps(receipt["document"], sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public_key"])).verify(
        base64.b64decode(receipt["signature"]), signed
    )
    faults = []
    for changed in (
        {"document": receipt["document"] | {"erased_at": "2020-01-01"}},
        {"document": receipt["document"] | {"key_id": "0" * 16}},
        {"document": {"format": "other"}},
        {"signature": "no Base64"},
    ):
        answer = nobody.post("/api/v1/erasure-receipts/verify", check | changed, format="json")
        faults.append(answer.json()["fault"])
    assert faults == ["signature_wrong", "other_key", "malformed", "signature_wrong"]

    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    out = StringIO()
    call_command("verify_erasure", str(file), stdout=out)
    assert "genuine" in out.getvalue()
    file.write_text(json.dumps(receipt | {"signature": receipt["signature"][::-1]}))
    with pytest.raises(CommandError, match="signature_wrong"):
        call_command("verify_erasure", str(file))
    with pytest.raises(IntegrityError), transaction.atomic():
        ErasureReceipt.objects.update(items_count=0)
    assert http.get(f"/api/v1/erasure-receipts/{asset_id}").json()["code"] == "receipt_not_found"


def test_a_receipt_of_a_former_key_stays_good(http, settings):
    gone = http.delete(f"/api/v1/assets/{upload(http)}")
    receipt = http.get(f"/api/v1/erasure-receipts/{gone.headers['Erasure-Receipt']}").json()
    former = http.get("/api/v1/erasure-receipts/keys").json()["items"][0]["public_key"]
    check = {"document": receipt["document"], "signature": receipt["signature"]}
    settings.LEDGER_STATEMENT_KEY = "another key " * 5
    answer = http.post("/api/v1/erasure-receipts/verify", check, format="json")
    assert answer.json()["fault"] == "other_key"
    settings.RECEIPT_FORMER_KEYS = [former]
    assert http.post("/api/v1/erasure-receipts/verify", check, format="json").json()["genuine"]


def test_all_media_of_an_account_are_erased_with_one_receipt(http, user, settings):
    settings.CONSENT_REQUIRED = "off"
    first, second = upload(http), upload(http, seed=2)
    job = factories.make_job(owner_id=user.pk)
    busy = http.post("/api/v1/account/erase-media")
    assert (busy.status_code, busy.json()["code"]) == (409, "asset_in_use")
    assert busy.json()["job_ids"] == [str(job.pk)]
    assert http.post(f"/api/v1/jobs/{job.pk}/cancel").status_code == 200
    theirs = factories.make_asset(owner_id=factories.make_user().pk)

    done = http.post("/api/v1/account/erase-media").json()
    assert (done["erased_count"], done["remaining_count"]) == (4, 0)
    receipt = http.get(f"/api/v1/erasure-receipts/{done['receipt_id']}").json()
    assert receipt["document"]["scope"] == "account"
    assert {first, second} <= {item["id"] for item in receipt["document"]["items"]}
    assert not MediaAsset.objects.filter(owner=user).exclude(status="DELETED").exists()
    theirs.refresh_from_db()
    assert theirs.status == "READY"
    nothing = http.post("/api/v1/account/erase-media").json()
    assert nothing == {"receipt_id": None, "erased_count": 0, "remaining_count": 0}
    assert len(http.get("/api/v1/erasure-receipts").json()["items"]) == 1


def test_a_report_can_be_read_by_its_reference_in_small_letters():
    row = report()
    answer = APIClient().get(f"/api/v1/takedowns/{row.reference.lower()}")
    assert answer.json()["reference"] == row.reference
