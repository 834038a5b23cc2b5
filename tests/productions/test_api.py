"""Productions over HTTP: a whole life, its files, and what is refused."""

from __future__ import annotations

import csv
import io
import uuid

import pytest

from inference.tests import factories as inference_factories
from productions.models import Production
from tests.productions import factories

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/productions"


@pytest.fixture
def studio():
    return factories.studio()


@pytest.fixture
def client(studio, client_of):
    return client_of(studio)


def create(client, *people: dict[str, object], key: str | None = None, **more):
    return client.post(
        URL,
        {"name": "Lessons", "people": list(people), "is_automatic": False, **more},
        format="json",
        headers={"idempotency-key": key or uuid.uuid4().hex},
    )


def person(studio, ref: str, **more) -> dict[str, object]:
    face = inference_factories.make_asset(owner_id=studio.pk)
    consent = {"kind": "documented", "text_version": "2026-11"}
    return {"ref": ref, "face_asset_id": str(face.pk), "consent": consent, **more}


def test_a_production_over_http_from_csv_to_report(studio, client, client_of, fast_swap):
    ada = person(studio, "ada", token_quota=5)
    created = create(client, ada, budget=4, key="lessons-1")
    assert created.status_code == 201, created.data
    again = create(client, ada, budget=4, key="lessons-1")
    assert (again.data["id"], again.headers["Idempotency-Replayed"]) == (created.data["id"], "true")
    url = created.headers["Location"]
    target = inference_factories.make_asset(owner_id=studio.pk).pk

    lines = [
        "person,target_asset_id,operation,target_faces,options",
        f"ada,{target},,,",
        f"=1+1,{target},,,",
        f"ada,{target},image_swap,largest,",
        "ada,not-an-id,,,",
        f"ada,{target},,,{{",
        f"ada,{target},,,,one too many",
    ]
    loaded = client.put(f"{url}/manifest", "\ufeff" + "\n".join(lines), content_type="text/csv")
    assert loaded.data["progress"]["states"] == {"ready": 2, "unreadable": 4}, loaded.data
    faults = client.get(f"{url}/rows", {"state": "unreadable", "limit": 3}).data
    assert [row["error_code"] for row in faults["items"]] == [
        "person_unknown",
        "manifest_row_unreadable",
        "manifest_row_unreadable",
    ]
    assert faults["next_after"] == 5
    assert client.post(f"{url}/estimate").data["estimate"] == 2
    assert client_of(factories.studio()).post(f"{url}/fund").status_code == 403
    funded = client_of(factories.maker()).post(f"{url}/fund").data
    assert (funded["state"], funded["progress"]["books"]["left"]) == ("funded", 4)
    assert client.post(f"{url}/start").data["progress"]["states"]["queued"] == 2
    refused = client.post(f"{url}/finish")
    assert (refused.status_code, refused.data["code"]) == (409, "production_busy")
    factories.run_jobs(Production.objects.get())

    done = client.post(f"{url}/finish").data

    assert (done["state"], done["progress"]["books"]) == (
        "finished",
        {
            "funded": 4,
            "spending": {"held": 0, "settled": 2, "refunded": 0},
            "returned": 2,
            "return_status": "applied",
            "left": 0,
        },
    )
    report = client.get(f"{url}/report").data
    assert [row["tokens"] for row in report["rows"]] == [1, 0, 1, 0, 0, 0]
    assert client.get(f"/api/v1/jobs/{report['rows'][0]['job_id']}").data["state"] == "succeeded"
    table = client.get(f"{url}/report.csv").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["state"] for row in rows[:2]] == ["succeeded", "unreadable"]
    assert client.get(URL).data["items"][0]["id"] == done["id"]


def test_what_is_wrong_is_said_with_its_code(studio, client, client_of):
    created = create(client, person(studio, "ada"))
    url = created.headers["Location"]
    target = str(inference_factories.make_asset(owner_id=studio.pk).pk)

    def told(answer) -> tuple[int, str]:
        return answer.status_code, answer.data["code"]

    assert told(client_of(factories.studio()).get(url)) == (404, "production_not_found")
    for bad in ("a,b\n1,2", "person\nada", 'person,target_asset_id\n"ada', b"\xff\xfe\x00"):
        answer = client.put(f"{url}/manifest", bad, content_type="text/csv")
        assert told(answer) == (400, "manifest_unreadable"), bad
    assert told(client.put(f"{url}/manifest", {"rows": []}, format="json")) == (
        400,
        "invalid_request",
    )
    rows = [
        {"person": "ada", "target_asset_id": target, "options": {"target_faces": "largest"}},
        {"person": "ada", "target_asset_id": target, "options": {"target_faces": "some"}},
        "no object",
        {"person": 5, "target_asset_id": target},
    ]
    loaded = client.put(f"{url}/manifest", {"rows": rows}, format="json")
    assert loaded.data["progress"]["row_errors"] == {"manifest_row_unreadable": 3}
    details = [row["error_detail"] for row in client.get(f"{url}/rows").data["items"]]
    assert details[1].startswith("options.target_faces:")
    assert told(client.post(f"{url}/start")) == (409, "production_state")
    assert told(client.post(f"{url}/people/eve/revoke-consent")) == (404, "person_not_found")
    revoked = client.post(f"{url}/people/ada/revoke-consent")
    assert revoked.data["progress"]["people"][0]["has_consent"] is False
    assert told(client.post(f"{url}/estimate")) == (409, "production_empty")
    assert client.post(f"{url}/cancel").data["state"] == "canceled"
