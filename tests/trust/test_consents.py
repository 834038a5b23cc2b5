"""Consents: asked for before a swap is priced, kept as they were, and carried out when revoked."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils import timezone

from facefusion_site.common.errors import DomainError
from inference import services as inference_services
from inference.models import MediaAsset, SwapJob
from inference.sandbox_media import MEDIA
from inference.tests import factories
from inference.types import SwapOptions
from tests.trust.factories import consent
from tokens import selectors as tokens_selectors
from tokens.models import AuditEvent
from tokens.types import Operation
from trust import consent_texts, selectors, services
from trust.models import Consent, ConsentAsset
from trust.types import ConsentKind, ConsentUse

pytestmark = pytest.mark.django_db(transaction=True)
# What people agreed to: a changed word is a new version.
DIGESTS = {
    ("self", "en"): "5f95b9c76ada4ffa61b5aabed08aaad8f8abe846d3a7c5275eed3d2a49baacea",
    ("self", "zh-hans"): "85df863b1922f13e169bc902a5cd7d91e590e6a7f64365da6f9453c98790584b",
    ("documented", "en"): "26abad4e7f8127530891938902bb6472da24158bbe2147d4cccf0f80892fd63d",
    ("documented", "zh-hans"): "34a8bd6fb90f3f61bd0061cb2547cd62a28e3b21807fee3b89f7ee5ab278cb26",
    ("licensed", "en"): "2945537ad22ccd341b64317206f35ef51b283cc588d6a005fe73ff9d4570e312",
    ("licensed", "zh-hans"): "5af1b87155f2aafa652b85c3464b1931932dc5ba3139d796c05e8bf622b510d2",
}


def quote(user, source, target=None):
    target = target or factories.make_asset(owner_id=user.pk, data=factories.picture(seed=9))
    return inference_services.quote_swap(
        owner_id=user.pk,
        source_asset_id=source.pk,
        target_asset_id=target.pk,
        options=SwapOptions(),
    )


def refusal(function, *args, **kwargs) -> str:
    with pytest.raises(DomainError) as caught:
        function(*args, **kwargs)
    return caught.value.code


def submit(user, priced) -> SwapJob:
    done = inference_services.submit_swap_job(
        owner_id=user.pk, quote_id=priced.pk, idempotency_key=str(priced.pk)
    )
    return SwapJob.objects.get(pk=done.job_id)


def test_the_texts_of_this_version_do_not_change():
    assert consent_texts.VERSION == "2026-11"
    assert {
        (kind.value, language): consent_texts.digest(kind=kind, language=language)
        for kind in ConsentKind
        for language in consent_texts.LANGUAGES
    } == DIGESTS


def test_a_swap_needs_somebody_who_vouches_for_the_face(user, settings):
    source = factories.make_asset(owner_id=user.pk)
    assert refusal(quote, user, source) == "consent_required"
    consent(owner=user, expires_at=timezone.now() + dt.timedelta(hours=1))
    assert quote(user, source).tokens > 0
    settings.CONSENT_REQUIRED = "documented"
    assert refusal(quote, user, source) == "consent_required"
    consent(owner=user, kind=ConsentKind.DOCUMENTED, asset_ids=(source.pk,), evidence="C-17")
    assert quote(user, source).tokens > 0


def test_the_word_of_another_account_or_for_another_use_does_not_count(user):
    source = factories.make_asset(owner_id=user.pk)
    consent(owner=factories.make_user(), asset_ids=(source.pk,))
    consent(owner=user, uses=(ConsentUse.VIDEO_SWAP,))
    assert refusal(quote, user, source) == "consent_required"


def test_one_that_is_over_does_not_count(user):
    source = factories.make_asset(owner_id=user.pk)
    consent(owner=user, expires_at=timezone.now() + dt.timedelta(hours=1))
    standing = selectors.consent_standing(owner_id=user.pk, asset_ids=[source.pk])
    later = type(standing)(standing.facts, standing.policy, timezone.now() + dt.timedelta(hours=2))
    use = ConsentUse.IMAGE_SWAP
    standing.require(asset_id=source.pk, use=use)
    assert refusal(later.require, asset_id=source.pk, use=use) == "consent_required"


def test_every_source_of_a_swap_counts_and_a_row_of_a_batch_is_refused_alone(user):
    named, other = (
        factories.make_asset(owner_id=user.pk, data=factories.picture(seed=n)) for n in (1, 2)
    )
    consent(owner=user, asset_ids=(named.pk,))
    with pytest.raises(DomainError) as caught:
        inference_services.quote_swap(
            owner_id=user.pk,
            source_asset_id=named.pk,
            target_asset_id=other.pk,
            options=SwapOptions(source_asset_ids=(other.pk,)),
        )
    assert (caught.value.code, caught.value.param) == (
        "consent_required",
        "options.source_asset_ids.0",
    )
    rows = tuple(
        inference_services.BatchRow(source.pk, other.pk, Operation.IMAGE_SWAP, SwapOptions())
        for source in (named, other)
    )
    preview = inference_services.preview_job_batch(
        owner_id=user.pk, order=inference_services.BatchOrder(rows=rows)
    )
    assert list(preview.quotes) == [1]
    assert [(it["row"], it["code"]) for it in preview.refusals] == [(2, "consent_required")]


def test_the_magic_pictures_of_a_sandbox_show_nobody(user):
    sandbox = factories.make_user(tokens=5)
    type(sandbox).objects.filter(pk=sandbox.pk).update(sandbox_of=user)
    target = factories.make_asset(owner_id=sandbox.pk)
    priced = inference_services.quote_swap(
        owner_id=sandbox.pk,
        source_asset_id=next(iter(MEDIA)),
        target_asset_id=target.pk,
        options=SwapOptions(),
    )
    assert priced.tokens > 0
    assert refusal(quote, sandbox, target, target) == "consent_required"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"text_version": "2020-01"}, "consent_text_outdated", "text_version"),
        ({"language": "fr"}, "consent_invalid", "language"),
        ({"uses": ()}, "consent_invalid", "uses"),
        ({"kind": ConsentKind.LICENSED, "evidence": "L-1"}, "consent_invalid", "asset_ids"),
        (
            {"kind": ConsentKind.DOCUMENTED, "asset_ids": (uuid.UUID(int=1),)},
            "consent_invalid",
            "evidence",
        ),
        ({"expires_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "consent_invalid", "expires_at"),
    ],
)
def test_what_does_not_go_together_is_refused(user, changes, code, param):
    with pytest.raises(DomainError) as caught:
        consent(owner=user, **changes)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert not Consent.objects.exists()


def test_revoking_ends_jobs_with_a_full_refund_and_deletes_the_face(user):
    data = factories.picture(seed=3)
    source = factories.make_asset(owner_id=user.pk, data=data)
    given = consent(owner=user, kind=ConsentKind.LICENSED, asset_ids=(source.pk,), evidence="L-9")
    consent(owner=user)
    queued, running, open_quote = (quote(user, source) for _ in range(3))
    queued, running = submit(user, queued), submit(user, running)
    factories.take(running)
    before = tokens_selectors.balance(user_id=user.pk)
    assert before.held > 0

    services.revoke(owner_id=user.pk, consent_id=given.pk, actor_id=user.pk)

    for job in (queued, running):
        job.refresh_from_db()
        assert (job.status, job.error_code) == ("FAILED", "consent_revoked")
    after = tokens_selectors.balance(user_id=user.pk)
    assert (after.available, after.held) == (100, 0)
    source.refresh_from_db()
    assert source.status == MediaAsset.Status.DELETED
    assert not default_storage.exists(source.file_key)
    assert refusal(submit, user, open_quote) == "consent_revoked"
    # The general word for the account's own face does not bring it back, nor does the file again.
    assert refusal(factories.make_asset, owner_id=user.pk, data=data) == "consent_revoked"
    assert factories.make_asset(owner_id=factories.make_user().pk, data=data).pk
    given.refresh_from_db()
    assert given.enforced_at is not None
    # Repeating it changes nothing.
    services.revoke(owner_id=user.pk, consent_id=given.pk, actor_id=user.pk)
    actions = AuditEvent.objects.filter(subject=f"consent:{given.pk}").order_by("pk")
    assert [event.action for event in actions] == ["consent.attested", "consent.revoked"]
    assert refusal(
        services.revoke, owner_id=factories.make_user().pk, consent_id=given.pk, actor_id=user.pk
    ) == ("consent_not_found")


def test_revoking_the_word_for_the_account_purges_its_sources_but_not_what_others_name(user):
    own, licensed, idle = (
        factories.make_asset(owner_id=user.pk, data=factories.picture(seed=n)) for n in (4, 5, 6)
    )
    general = consent(owner=user)
    consent(owner=user, kind=ConsentKind.LICENSED, asset_ids=(licensed.pk,), evidence="L-2")
    target = factories.make_asset(owner_id=user.pk, data=factories.picture(seed=7))
    for source in (own, licensed):
        quote(user, source, target)
    services.revoke(owner_id=user.pk, consent_id=general.pk, actor_id=user.pk)
    statuses = {
        asset.pk: MediaAsset.objects.get(pk=asset.pk).status
        for asset in (own, licensed, idle, target)
    }
    assert statuses == {
        own.pk: "DELETED",
        licensed.pk: "READY",
        idle.pk: "READY",
        target.pk: "READY",
    }
    assert refusal(quote, user, idle) == "consent_revoked"
    assert quote(user, licensed, target)
    consent(owner=user)
    assert quote(user, idle, target)


def test_what_a_broken_storage_leaves_is_finished_by_the_sweep(user, settings):
    source = factories.make_asset(owner_id=user.pk)
    target = factories.make_asset(owner_id=user.pk, data=factories.picture(seed=8))
    given = consent(owner=user, asset_ids=(source.pk,))
    folder = settings.MEDIA_ROOT / "assets"
    kept = folder.rename(settings.MEDIA_ROOT / "away")
    folder.write_text("a file where the folder should be")
    services.revoke(owner_id=user.pk, consent_id=given.pk, actor_id=user.pk)
    assert selectors.revocations_to_enforce(limit=9) == [given.pk]
    assert refusal(quote, user, source, target) == "asset_deleted"
    folder.unlink()
    kept.rename(folder)
    assert inference_services.enforce_trust() == (1, 0)
    assert not default_storage.exists(source.file_key)
    assert selectors.revocations_to_enforce(limit=9) == []


def test_nobody_rewrites_what_was_attested(user):
    given = consent(
        owner=user, kind=ConsentKind.LICENSED, asset_ids=(user_asset(user),), evidence="L"
    )
    changes = [
        lambda: Consent.objects.filter(pk=given.pk).update(evidence="other"),
        lambda: Consent.objects.filter(pk=given.pk).update(expires_at=timezone.now()),
        lambda: ConsentAsset.objects.filter(consent=given).update(asset_id=given.pk),
        lambda: ConsentAsset.objects.filter(consent=given).delete(),
    ]
    for change in changes:
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    services.revoke(owner_id=user.pk, consent_id=given.pk, actor_id=user.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.filter(pk=given.pk).update(revoked_at=None)


def user_asset(user):
    return factories.make_asset(owner_id=user.pk, data=factories.picture()).pk
