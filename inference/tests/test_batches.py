"""Batches: one request, one price, an outcome for each row, a bounded number of statements."""

from __future__ import annotations

import uuid

import pytest

from accounts.types import Role
from inference import services, tasks
from inference.models import JobBatch, SwapJob, SwapQuote
from inference.tests import factories
from inference.tests.racing import in_parallel
from inference.types import SwapOptions
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.types import Operation

URL = "/api/v1/jobs/batches"
# Parameters of tests have the same names in every process.
NOWHERE = uuid.UUID(int=7)


@pytest.fixture
def user(db):
    return factories.make_user(tokens=10)


@pytest.fixture
def assets(user):
    return [factories.make_asset(owner_id=user.pk) for _ in range(3)]


def post(client, body, key="batch-1"):
    headers = {"idempotency-key": key} if key else {}
    return client.post(URL, body, format="json", headers=headers)


def row(source, target, **changes):
    return {
        "operation": "image_swap",
        "source_asset_id": str(source),
        "target_asset_id": str(target),
        **changes,
    }


def held(user) -> int:
    return tokens_selectors.balance(user_id=user.pk).held


@pytest.mark.django_db
def test_good_rows_become_jobs_and_bad_ones_say_why(client_of, user, assets):
    source, *targets = [asset.pk for asset in assets]
    rows = [
        row(source, targets[0]),
        row(source, uuid.uuid4()),
        row(source, targets[1], options={"spec": {"swapper": {"weight": "x"}}}),
        row(source, targets[1], operation="video_swap"),
        row(source, targets[1]),
    ]

    answer = post(client_of(user), {"jobs": rows})

    assert answer.status_code == 202, answer.data
    said = answer.data
    assert [(one["row"], one["code"]) for one in said["rows"]] == [
        (1, "accepted"),
        (2, "asset_not_found"),
        (3, "invalid_options"),
        (4, "operation_mismatch"),
        (5, "accepted"),
    ]
    assert said["rows"][1]["param"] == "target_asset_id"
    assert (said["rows_count"], said["accepted_count"], said["refused_count"]) == (5, 2, 3)
    assert (said["tokens"], said["states"]["queued"]) == (2, 2)
    assert said["receipt"] == {"quoted": 2, "held": 2, "settled": 0, "refunded": 0}
    assert held(user) == 2
    assert client_of(user).get(answer.headers["Location"]).data == said
    jobs = client_of(user).get("/api/v1/jobs", {"batch_id": said["id"]}).data["items"]
    assert sorted(job["batch_row"] for job in jobs) == [1, 5]
    assert {job["id"] for job in jobs} == {
        str(one["job_id"]) for one in said["rows"] if one["job_id"]
    }


@pytest.mark.django_db
def test_image_set_is_one_face_onto_many_pictures(client_of, user, assets):
    source, *targets = [str(asset.pk) for asset in assets]

    answer = post(
        client_of(user),
        {"image_set": {"source_asset_id": source, "target_asset_ids": [*targets, targets[0]]}},
    )

    assert answer.data["accepted_count"] == 3
    found = SwapJob.objects.order_by("batch_row").values_list("quote__target_id", flat=True)
    assert [str(pk) for pk in found] == [*targets, targets[0]]


@pytest.mark.django_db
def test_atomic_batch_is_all_or_none(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]
    rows = [row(source, target), row(source, uuid.uuid4())]

    answer = post(client_of(user), {"mode": "atomic", "jobs": rows})

    assert (answer.status_code, answer.data["code"]) == (422, "batch_refused")
    assert answer.data["errors"] == [
        {
            "pointer": "#/jobs/1",
            "code": "asset_not_found",
            "detail": "You have no upload with this id.",
        }
    ]
    assert (SwapJob.objects.count(), JobBatch.objects.count(), held(user)) == (0, 0, 0)


@pytest.mark.django_db
def test_atomic_batch_that_cannot_be_paid_leaves_nothing(client_of, user, assets, settings):
    settings.TOKENS_PRICE_IMAGE = 4
    source, target, _ = [asset.pk for asset in assets]

    answer = post(client_of(user), {"mode": "atomic", "jobs": [row(source, target)] * 3})

    assert (answer.status_code, answer.data["code"]) == (402, "insufficient_tokens")
    assert (answer.data["needed"], answer.data["available"]) == (12, 10)
    assert (SwapJob.objects.count(), SwapQuote.objects.count(), held(user)) == (0, 0, 0)


@pytest.mark.django_db
def test_soft_fail_batch_runs_what_the_wallet_covers(client_of, user, assets, settings):
    settings.TOKENS_PRICE_IMAGE = 4
    source, target, _ = [asset.pk for asset in assets]

    answer = post(client_of(user), {"jobs": [row(source, target)] * 3})

    assert [one["code"] for one in answer.data["rows"]] == [
        "accepted",
        "accepted",
        "insufficient_tokens",
    ]
    assert (SwapJob.objects.count(), SwapQuote.objects.count(), held(user)) == (2, 2, 8)


@pytest.mark.django_db
def test_price_above_the_limit_is_refused(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]
    body = {"jobs": [row(source, target)] * 3, "max_tokens": 2}

    answer = post(client_of(user), body)

    assert (answer.status_code, answer.data["code"]) == (409, "price_above_limit")
    assert (answer.data["tokens"], held(user)) == (3, 0)
    assert post(client_of(user), body | {"max_tokens": 3}).status_code == 202


@pytest.mark.django_db
def test_dry_run_writes_nothing(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]

    answer = post(
        client_of(user),
        {"jobs": [row(source, target), row(source, uuid.uuid4())], "dry_run": True},
    )

    assert (answer.status_code, answer.data["tokens"]) == (200, 1)
    assert [one["code"] for one in answer.data["rows"]] == ["accepted", "asset_not_found"]
    assert (JobBatch.objects.count(), SwapQuote.objects.count(), held(user)) == (0, 0, 0)


@pytest.mark.django_db
def test_repeat_answers_the_same_batch(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]
    body = {"jobs": [row(source, target), row(source, uuid.uuid4())]}
    first = post(client_of(user), body)

    again = post(client_of(user), body)
    other = post(client_of(user), {"jobs": [row(source, target)]})

    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.data["code"]) == (422, "idempotency_key_reused")
    assert held(user) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"jobs": []},
        {"jobs": "x"},
        {"jobs": [{}]},
        {"image_set": {"source_asset_id": str(NOWHERE), "target_asset_ids": []}},
        {
            "jobs": [row(NOWHERE, NOWHERE)],
            "image_set": {
                "source_asset_id": str(NOWHERE),
                "target_asset_ids": [str(NOWHERE)],
            },
        },
        {"jobs": [row(NOWHERE, NOWHERE)] * 1001},
        {"jobs": [row(NOWHERE, NOWHERE)], "max_tokens": 0},
        {"jobs": [row(NOWHERE, NOWHERE)], "mode": "other"},
    ],
    ids=lambda body: str(body)[:60],
)
def test_wrong_bodies_are_refused(client_of, user, body):
    answer = post(client_of(user), body)

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")
    assert JobBatch.objects.count() == 0


@pytest.mark.django_db
def test_frozen_wallet_refuses_the_batch(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]
    operator = factories.make_user(role=Role.OPERATOR)
    tokens_services.freeze_wallet(user_ref=user.user_ref, reason="why", actor_id=operator.pk)

    answer = post(client_of(user), {"jobs": [row(source, target)]})

    assert (answer.status_code, answer.data["code"]) == (403, "wallet_frozen")
    assert JobBatch.objects.count() == 0


@pytest.mark.django_db
def test_key_is_required_and_batches_are_private(client_of, user, assets):
    source, target, _ = [asset.pk for asset in assets]
    body = {"jobs": [row(source, target)]}
    assert post(client_of(user), body, key=None).data["code"] == "idempotency_key_missing"
    batch_id = post(client_of(user), body).data["id"]

    stranger = client_of(factories.make_user())

    for answer in (stranger.get(f"{URL}/{batch_id}"), stranger.post(f"{URL}/{batch_id}/cancel")):
        assert (answer.status_code, answer.data["code"]) == (404, "batch_not_found")


@pytest.mark.django_db
def test_thousand_jobs_cost_as_many_statements_as_ten(user, assets, django_assert_num_queries):
    rich = factories.make_user(tokens=2000)
    source, target = (factories.make_asset(owner_id=rich.pk).pk for _ in range(2))

    def order(count: int) -> services.BatchOrder:
        one = services.BatchRow(
            source_asset_id=source,
            target_asset_id=target,
            operation=Operation.IMAGE_SWAP,
            options=SwapOptions(),
        )
        return services.BatchOrder(rows=(one,) * count, mode=JobBatch.Mode.SOFT_FAIL)

    # The key, the uploads, prices and plan, consents, the batch in a savepoint, quotes, jobs,
    # holds, the counts, the places.
    for count in (10, 1000):
        with django_assert_num_queries(19):
            services.create_job_batch(
                owner_id=rich.pk, order=order(count), idempotency_key=f"key-{count}"
            )

    assert SwapJob.objects.filter(batch__rows_count=1000).count() == 1000
    assert held(rich) == 1010
    assert SwapJob.objects.filter(owner=rich, sent_at__isnull=False).count() == 2


@pytest.mark.django_db
def test_canceling_a_batch_ends_what_has_not_ended(client_of, user, assets, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.run_swap_job, "apply_async", lambda kwargs, **_: sent.append(kwargs))
    source, target, _ = [asset.pk for asset in assets]
    batch_id = post(client_of(user), {"jobs": [row(source, target)] * 5}).data["id"]
    done = SwapJob.objects.get(batch_row=1)
    services.stop_swap_job(job_id=done.pk, actor_id=user.pk)

    answers = [client_of(user).post(f"{URL}/{batch_id}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    states = {name: count for name, count in answers[0].data["states"].items() if count}
    assert states == {"failed": 1, "canceled": 4}
    assert answers[0].data["receipt"] == {"quoted": 5, "held": 5, "settled": 0, "refunded": 5}
    assert held(user) == 0


@pytest.mark.django_db(transaction=True)
def test_same_batch_at_once_is_made_once(monkeypatch):
    monkeypatch.setattr(tasks.run_swap_job, "apply_async", lambda **_: None)
    user = factories.make_user(tokens=100)
    source, target = (factories.make_asset(owner_id=user.pk).pk for _ in range(2))
    one = services.BatchRow(
        source_asset_id=source,
        target_asset_id=target,
        operation=Operation.IMAGE_SWAP,
        options=SwapOptions(),
    )
    order = services.BatchOrder(rows=(one,) * 10, mode=JobBatch.Mode.ATOMIC)

    results = in_parallel(
        8,
        lambda _: services.create_job_batch(owner_id=user.pk, order=order, idempotency_key="same"),
    )

    assert sorted(is_replay for _batch, is_replay in results) == [False] + [True] * 7
    assert (SwapJob.objects.count(), held(user)) == (10, 10)
