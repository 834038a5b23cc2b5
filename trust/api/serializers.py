"""Consents, reports and receipts on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictCharField, StrictUUIDField
from trust import consent_texts
from trust.models import Consent, ErasureReceipt, Takedown
from trust.types import (
    CONSENT_ASSETS_MAX,
    EVIDENCE_LENGTH_MAX,
    STATEMENT_LENGTH_MAX,
    ConsentKind,
    ConsentOrder,
    ConsentUse,
    ErasureScope,
    TakedownReason,
    TakedownState,
)

CONSENT_KINDS = ConsentKind.values
CONSENT_USES = ConsentUse.values
TAKEDOWN_REASONS = TakedownReason.values
TAKEDOWN_STATES = TakedownState.values
ERASURE_SCOPES = ErasureScope.values


class ConsentTextQuerySerializer(serializers.Serializer[Any]):
    """Which language the text is wanted in."""

    language = serializers.ChoiceField(choices=consent_texts.LANGUAGES, default="en")


class ConsentWordsSerializer(serializers.Serializer[Any]):
    """The words of one kind of consent."""

    text = serializers.CharField()
    sha256 = serializers.CharField(help_text=_("Of the text as UTF-8."))


class ConsentTextsSerializer(serializers.Serializer[Any]):
    """By kind."""

    self = ConsentWordsSerializer()
    documented = ConsentWordsSerializer()
    licensed = ConsentWordsSerializer()


class ConsentTextSerializer(serializers.Serializer[Any]):
    """What is vouched for, word for word."""

    version = serializers.CharField()
    language = serializers.ChoiceField(choices=consent_texts.LANGUAGES)
    texts = ConsentTextsSerializer()


class ConsentCreateSerializer(serializers.Serializer[Any]):
    """A consent to attest."""

    kind = serializers.ChoiceField(choices=CONSENT_KINDS)
    text_version = StrictCharField(
        max_length=16, help_text=_("Of the text that you, or the person shown, agreed to.")
    )
    language = serializers.ChoiceField(choices=consent_texts.LANGUAGES, default="en")
    uses = serializers.ListField(
        child=serializers.ChoiceField(choices=CONSENT_USES),
        default=CONSENT_USES,
        allow_empty=False,
        help_text=_("What the consent allows; everything if left out."),
    )
    asset_ids = serializers.ListField(
        child=StrictUUIDField(),
        default=list,
        max_length=CONSENT_ASSETS_MAX,
        help_text=_(
            "The uploads that show the person. Only your own face may be attested without: then "
            "for every upload of the account, whatever is uploaded later included."
        ),
    )
    evidence = StrictCharField(
        max_length=EVIDENCE_LENGTH_MAX,
        default="",
        allow_blank=True,
        help_text=_("Where the document lies, such as a contract's number. Not for “self”."),
    )
    expires_at = serializers.DateTimeField(
        default=None, allow_null=True, help_text=_("When it ends by itself; null: not at all.")
    )

    def to_order(self) -> ConsentOrder:
        """The validated consent as a value of the app."""
        data = self.validated_data
        return ConsentOrder(
            kind=ConsentKind(data["kind"]),
            uses=tuple(ConsentUse(use) for use in data["uses"]),
            asset_ids=tuple(data["asset_ids"]),
            text_version=data["text_version"],
            language=data["language"],
            evidence=data["evidence"],
            expires_at=data["expires_at"],
        )


class ConsentSerializer(serializers.Serializer[Consent]):
    """A consent as it was attested, and whether it was revoked."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=CONSENT_KINDS)
    uses = serializers.ListField(child=serializers.ChoiceField(choices=CONSENT_USES))
    covers_account = serializers.BooleanField(help_text=_("For every upload of the account."))
    asset_ids = serializers.SerializerMethodField()
    evidence = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    text_version = serializers.CharField()
    text_language = serializers.CharField()
    text_sha256 = serializers.CharField()
    attested_by = serializers.CharField(source="attested_by.user_ref")
    attested_at = serializers.DateTimeField(source="created_at")
    revoked_at = serializers.DateTimeField(allow_null=True)
    enforced_at = serializers.DateTimeField(
        allow_null=True,
        help_text=_("Since when the faces of a revoked consent are gone and its jobs have ended."),
    )

    def get_asset_ids(self, consent: Consent) -> list[str]:
        """The uploads that it names."""
        return [str(asset.asset_id) for asset in consent.assets.all()]


class ConsentPageSerializer(serializers.Serializer[Any]):
    """A page of consents, newest first."""

    items = ConsentSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class TakedownCreateSerializer(serializers.Serializer[Any]):
    """A report. One of link, SHA-256 and copy says which file is meant."""

    reason = serializers.ChoiceField(choices=TAKEDOWN_REASONS)
    contact = serializers.CharField(max_length=254, help_text=_("An e-mail address."))
    statement = serializers.CharField(
        max_length=STATEMENT_LENGTH_MAX, help_text=_("What is wrong, and how you know.")
    )
    link = serializers.CharField(max_length=2000, default="", allow_blank=True)
    sha256 = serializers.CharField(max_length=64, default="", allow_blank=True)
    file = serializers.FileField(
        required=False,
        write_only=True,
        help_text=_(
            "A copy, in a multipart form: it is hashed and thrown away, and never looked at."
        ),
    )


class TakedownSerializer(serializers.Serializer[Takedown]):
    """Where a report stands: nothing of it that is personal."""

    reference = serializers.CharField()
    state = serializers.ChoiceField(choices=TAKEDOWN_STATES)
    received_at = serializers.DateTimeField(source="created_at")
    due_at = serializers.DateTimeField(help_text=_("Until when it is decided."))
    decided_at = serializers.DateTimeField(allow_null=True)
    answer = serializers.CharField(source="note", help_text=_("Empty before the decision."))
    sha256 = serializers.CharField(help_text=_("Of the file that was named or sent."))


class ErasedItemSerializer(serializers.Serializer[Any]):
    """One upload or result that is gone."""

    kind = serializers.ChoiceField(choices=["asset", "result"])
    id = serializers.UUIDField()
    sha256 = serializers.CharField(allow_blank=True, help_text=_("Of the bytes that were kept."))
    received_sha256 = serializers.CharField(
        allow_blank=True, help_text=_("Of the bytes as they came.")
    )
    bytes = serializers.IntegerField()


class ErasureDocumentSerializer(serializers.Serializer[Any]):
    """What is signed: JSON with sorted keys, without spaces, in UTF-8."""

    format = serializers.CharField()
    id = serializers.UUIDField()
    account = serializers.CharField()
    scope = serializers.ChoiceField(choices=ERASURE_SCOPES)
    erased_at = serializers.DateTimeField()
    items = ErasedItemSerializer(many=True)
    key_id = serializers.CharField()


class ErasureReceiptSerializer(serializers.Serializer[ErasureReceipt]):
    """A receipt with its Ed25519 signature in Base64."""

    id = serializers.UUIDField()
    document = ErasureDocumentSerializer()
    signature = serializers.CharField()


class ErasureReceiptPageSerializer(serializers.Serializer[Any]):
    """A page of receipts, newest first."""

    items = ErasureReceiptSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ReceiptCheckSerializer(serializers.Serializer[Any]):
    """A receipt to be checked, as it was given."""

    document = serializers.DictField()
    signature = serializers.CharField(max_length=256)


class ReceiptVerdictSerializer(serializers.Serializer[Any]):
    """Whether a receipt is ours and unchanged."""

    genuine = serializers.BooleanField(source="is_genuine")
    fault = serializers.CharField(
        help_text=_("Empty, or `malformed`, `other_key` or `signature_wrong`.")
    )


class ReceiptKeySerializer(serializers.Serializer[Any]):
    """A public key that receipts are signed with."""

    key_id = serializers.CharField()
    public_key = serializers.CharField(help_text=_("Ed25519: 32 bytes in Base64."))
    current = serializers.BooleanField()


class ReceiptKeysSerializer(serializers.Serializer[Any]):
    """Every key that is known, the current one first."""

    items = ReceiptKeySerializer(many=True)
