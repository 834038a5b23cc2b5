"""The client with keys that sign, and with test keys."""

from __future__ import annotations

import re
from pathlib import Path

import facefusion_platform_client as sdk
import pytest

from accounts import services as accounts_services
from accounts.types import ROLE_SCOPES, IssuedKey, KeyLimits, Role
from inference import sandbox_media
from inference.tests import factories
from tests import outside
from tests.client.conftest import ClientOf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def signing_key(client_of: ClientOf) -> IssuedKey:
    """Of an account with tokens, on a live server."""
    user = factories.make_user(tokens=5)
    factories.make_quote(owner_id=user.pk)
    return accounts_services.issue_api_key(
        user_id=user.pk,
        name="signing",
        scopes=ROLE_SCOPES[Role.USER],
        limits=KeyLimits(requires_signature=True),
    )


def order(client: sdk.Client) -> sdk.Job:
    """Of a picture of one's own, paid with a key of one's own."""
    picture = client.assets.upload(Path(__file__).resolve().parents[2] / "samples" / "coffee.png")
    quote = client.quotes.create(source_asset_id=picture.id, target_asset_id=picture.id)
    return client.jobs.create(quote.id, idempotency_key="order 1")


def test_orders_of_a_signing_key_go_through(live_server, signing_key):
    secret = signing_key.signing_secret
    with sdk.Client(live_server.url, signing_key.key, signing_secret=secret) as client:
        job = order(client)
        preview = client.jobs.preview_cancel(job.id)
        assert (preview.settled, preview.refunded) == (0, job.receipt.held)
        assert client.jobs.cancel(job.id).state == "canceled"
        assert not client.is_test


@pytest.mark.parametrize(
    ("secret", "code"),
    [(None, "signature_required"), ("ffs_" + "0" * 64, "signature_invalid")],
)
def test_without_the_secret_nothing_is_ordered(live_server, signing_key, secret, code):
    with (
        sdk.Client(live_server.url, signing_key.key, signing_secret=secret) as client,
        pytest.raises(sdk.NotAuthenticatedError) as refused,
    ):
        order(client)
    assert refused.value.code == code


def test_every_attempt_is_signed_anew(tmp_path: Path):
    talks = iter([lambda _peer, _request: None, outside.answer(b"{}", headers="")])

    def talk(peer, request: bytes) -> None:
        next(talks)(peer, request)

    retry = sdk.RetryPolicy(attempts=2, base_s=0.01)
    with (
        outside.serve(tmp_path, talk, is_tls=False) as site,
        sdk.Client(
            site.url("", scheme="http"), "ffk_live_x", signing_secret="ffs_x", retry=retry
        ) as client,
    ):
        client.webhooks.delete("1")
    found = [
        re.findall(rb"(?im)^(x-signature-nonce|x-signature): (\S+)", it) for it in site.requests
    ]
    assert [len(headers) for headers in found] == [2, 2]
    assert not set(found[0]) & set(found[1])


def test_a_test_key_fills_its_sandbox_and_forces_outcomes(live_server, client_of: ClientOf):
    user = factories.make_user()
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="tests", scopes=ROLE_SCOPES[Role.USER], is_test=True
    ).key
    with sdk.Client(live_server.url, key) as client:
        assert client.is_test
        assert client.sandbox.refill() == client.sandbox.refill() == client.wallet.balance()
        quote = client.quotes.create(
            source_asset_id=sdk.sandbox.OK, target_asset_id=sdk.sandbox.NO_FACE
        )
        assert client.jobs.create(quote.id).state == "queued"
    with pytest.raises(sdk.PermissionDeniedError) as refused:
        client_of().sandbox.refill()
    assert refused.value.code == "sandbox_only"


def test_the_client_knows_the_ids_of_the_server():
    for asset_id, outcome in sandbox_media.MEDIA.items():
        assert getattr(sdk.sandbox, outcome.name) == str(asset_id)
