"""Nobody's face is used beyond their quota or consent, and a faulty row stays a row."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from facefusion_site.common.errors import InvalidRequestError
from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from inference import services as inference_services
from inference.errors import AssetNotFoundError
from inference.models import SwapJob
from inference.tests import factories as inference_factories
from productions import selectors, services
from productions.errors import PersonNotFoundError
from productions.models import Person
from productions.types import ProductionOrder, RowOrder, State
from tests.productions import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def studio():
    return factories.studio()


def errors(production) -> list[str]:
    return [row.error_code for row in selectors.rows(production=production, limit=50)]


def test_quotas_and_ended_consents_are_said_with_the_estimate(studio):
    ended = timezone.now() - dt.timedelta(seconds=1)
    cast = (
        factories.person("jobs", owner_id=studio.pk, job_quota=1),
        factories.person("tokens", owner_id=studio.pk, token_quota=2),
        factories.person("late", owner_id=studio.pk, consent_expires_at=ended),
    )
    production = factories.make_production(studio, people=cast, rows=9)

    estimated = services.estimate(production=production, actor_id=studio.pk)

    assert estimated.estimate == 3
    late, quota = "consent_missing", "person_quota_exceeded"
    assert errors(production) == ["", "", late, quota, "", late, quota, quota, late]
    assert selectors.progress(production=production).errors == {late: 3, quota: 3}


def test_a_quota_is_kept_while_jobs_run_and_free_again_when_they_fail(studio):
    cast = (factories.person("ada", owner_id=studio.pk, token_quota=2),)
    production = factories.funded(studio, people=cast, rows=2, budget=5, is_automatic=False)
    services.start(production=production, actor_id=studio.pk)
    first_id = factories.job_id(production, row_no=1)
    inference_services.stop_swap_job(job_id=first_id, actor_id=studio.pk)
    Person.objects.update(token_quota=1)
    services.retry(production=production, actor_id=studio.pk)
    services.advance(production=production)
    assert errors(production)[0] == "person_quota_exceeded"

    Person.objects.update(token_quota=2)
    services.retry(production=production, actor_id=studio.pk)
    services.advance(production=production)

    assert errors(production) == ["", ""]
    ada = selectors.progress(production=production).people[0]
    assert (ada.spending.committed, ada.spending.refunded) == (2, 1)


def test_a_revoked_consent_stops_jobs_and_starts_no_more(studio):
    cast = tuple(factories.person(ref, owner_id=studio.pk) for ref in ("ada", "bob"))
    production = factories.funded(studio, people=cast, rows=4, is_automatic=False)
    services.start(production=production, actor_id=studio.pk)

    for _try in range(2):
        services.revoke_consent(production=production, ref="ada", actor_id=studio.pk)
    services.retry(production=production, actor_id=studio.pk)
    services.advance(production=production)

    missing = "consent_missing"
    assert errors(production) == [missing, "", missing, ""]
    assert SwapJob.objects.filter(status="CANCELED").count() == 2
    assert factories.balance(studio) == (2, 2)
    with pytest.raises(PersonNotFoundError) as nobody:
        services.revoke_consent(production=production, ref="eve", actor_id=studio.pk)
    assert nobody.value.code == "person_not_found"


def test_faulty_rows_are_kept_with_their_errors(studio):
    cast = (factories.person("ada", owner_id=studio.pk),)
    production = factories.make_production(studio, people=cast)
    stranger = inference_factories.make_asset(owner_id=inference_factories.make_user().pk)
    target = inference_factories.make_asset(owner_id=studio.pk).pk
    rows = [
        RowOrder(person="ada", target_asset_id=target),
        RowOrder(person="eve", target_asset_id=target),
        RowOrder(person="ada", target_asset_id=stranger.pk),
        RowOrder(person="ada", target_asset_id=None, fault="no id"),
    ]
    for _try in range(2):
        loaded = services.load_manifest(production=production, rows=rows, actor_id=studio.pk)
        assert loaded.state == State.DRAFT

    assert errors(production) == [
        "",
        "person_unknown",
        "asset_not_found",
        "manifest_row_unreadable",
    ]
    assert services.estimate(production=production, actor_id=studio.pk).estimate == 1
    with pytest.raises(InvalidRequestError):
        services.load_manifest(production=production, rows=[], actor_id=studio.pk)


def test_a_production_is_created_once_per_key(studio):
    order = ProductionOrder(name="Film", people=(factories.person("ada", owner_id=studio.pk),))
    key = uuid.uuid4().hex

    def create(wanted: ProductionOrder):
        return services.create_production(
            owner_id=studio.pk, order=wanted, actor_id=studio.pk, idempotency_key=key
        )

    first, _is_replay = create(order)
    assert create(order) == (first, True)
    with pytest.raises(IdempotencyKeyReusedError):
        create(ProductionOrder(name="Other", people=order.people))
    for faulty in (
        ProductionOrder(name="Film", people=()),
        ProductionOrder(name="Film", people=order.people * 2),
    ):
        with pytest.raises(InvalidRequestError):
            services.create_production(
                owner_id=studio.pk, order=faulty, actor_id=studio.pk, idempotency_key="another"
            )
    stranger = factories.person("eve", owner_id=inference_factories.make_user().pk)
    with pytest.raises(AssetNotFoundError):
        services.create_production(
            owner_id=studio.pk,
            order=ProductionOrder(name="Film", people=(stranger,)),
            actor_id=studio.pk,
            idempotency_key="another",
        )
