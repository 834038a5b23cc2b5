"""Webhook endpoints, the events of an account, and what became of their delivery."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.webhook_types import WebhookEventType

URL_LENGTH_MAX: Final = 2048


class WebhookEndpoint(models.Model):
    """An address of an account that events are sent to.

    A deleted one stays for its deliveries' sake, without its secrets. One that is switched off
    keeps what waits: it goes out when the endpoint is switched on again.
    """

    class Status(models.TextChoices):
        """Whether anything is sent."""

        ACTIVE = "ACTIVE", _("active")
        DISABLED = "DISABLED", _("switched off")
        DELETED = "DELETED", _("deleted")

    class Reason(models.TextChoices):
        """Who switched it off, or why we did."""

        OWNER = "OWNER", _("by its owner")
        OPERATOR = "OPERATOR", _("by an operator")
        GONE = "GONE", _("it answered 410")
        FAILING = "FAILING", _("it failed for too long")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
    )
    url = models.CharField(_("address"), max_length=URL_LENGTH_MAX)
    description = models.CharField(_("description"), max_length=200, blank=True)
    events = ArrayField(models.CharField(max_length=40), verbose_name=_("events"))
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.ACTIVE
    )
    disabled_reason = models.CharField(
        _("reason"), max_length=8, choices=Reason.choices, blank=True, default=""
    )
    disabled_at = models.DateTimeField(_("switched off at"), null=True, blank=True)
    secret = models.CharField(max_length=200, editable=False)
    previous_secret = models.CharField(max_length=200, editable=False, blank=True, default="")
    previous_secret_until = models.DateTimeField(
        _("old secret works until"), null=True, blank=True, editable=False
    )
    last_success_at = models.DateTimeField(_("last delivery"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        constraints = [
            models.CheckConstraint(
                name="accounts_endpoint_has_events", condition=models.Q(events__len__gt=0)
            ),
            models.CheckConstraint(
                name="accounts_endpoint_reason_when_off",
                condition=models.Q(status="DISABLED", disabled_at__isnull=False)
                & ~models.Q(disabled_reason="")
                | models.Q(status="ACTIVE", disabled_reason="", disabled_at=None)
                | models.Q(status="DELETED"),
            ),
            models.CheckConstraint(
                name="accounts_endpoint_deleted_no_secret",
                condition=models.Q(status="DELETED", secret="", previous_secret="")
                | ~models.Q(status="DELETED") & ~models.Q(secret=""),
            ),
        ]
        indexes = [
            # Whether an account listens at all is asked at every job's end and recharge.
            models.Index(
                name="accounts_endpoint_by_user",
                fields=["user"],
                condition=~models.Q(status="DELETED"),
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookEvent(models.Model):
    """Something that happened to an account, written in the transaction in which it did."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("user"),
        db_index=False,
    )
    type = models.CharField(_("event"), max_length=40, choices=WebhookEventType.choices)
    data = models.JSONField(_("content"))
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        indexes = [
            models.Index(name="accounts_event_by_user", fields=["user", "-created_at", "-id"]),
            models.Index(name="accounts_event_by_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint. Its row is the message; the broker only wakes workers.

    ``attempts`` counts the tries of the current schedule, ``attempts_count`` all of them: the
    second is the fencing token of whoever makes one.
    """

    class Status(models.TextChoices):
        """How far it is."""

        PENDING = "PENDING", _("waits")
        DELIVERED = "DELIVERED", _("delivered")
        FAILED = "FAILED", _("given up")
        CANCELED = "CANCELED", _("canceled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("endpoint"),
        db_index=False,
    )
    event = models.ForeignKey(
        WebhookEvent, on_delete=models.PROTECT, related_name="+", verbose_name=_("event")
    )
    status = models.CharField(
        _("status"), max_length=9, choices=Status.choices, default=Status.PENDING
    )
    attempts = models.PositiveSmallIntegerField(_("tries of this round"), default=0)
    attempts_count = models.PositiveIntegerField(_("tries"), default=0)
    next_attempt_at = models.DateTimeField(_("next try at"), db_default=Now())
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        constraints = [
            models.UniqueConstraint(
                name="accounts_delivery_once_each", fields=["endpoint", "event"]
            ),
            models.CheckConstraint(
                name="accounts_delivery_ends_unleased",
                condition=models.Q(status="PENDING", finished_at=None)
                | models.Q(lease_expires_at=None, finished_at__isnull=False)
                & ~models.Q(status="PENDING"),
            ),
        ]
        indexes = [
            models.Index(
                name="accounts_delivery_due",
                fields=["next_attempt_at"],
                condition=models.Q(status="PENDING"),
            ),
            models.Index(
                name="accounts_delivery_at_work",
                fields=["endpoint"],
                condition=models.Q(lease_expires_at__isnull=False),
            ),
            models.Index(
                name="accounts_delivery_newest", fields=["endpoint", "-created_at", "-id"]
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class WebhookAttempt(models.Model):
    """One try. It is written before the call, so that a worker that dies in it leaves a trace."""

    delivery = models.ForeignKey(
        WebhookDelivery,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("delivery"),
        db_index=False,
    )
    number = models.PositiveIntegerField(_("number"))
    started_at = models.DateTimeField(_("started at"))
    latency_ms = models.PositiveIntegerField(_("milliseconds"), null=True, blank=True)
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=40, blank=True, default="")
    excerpt = models.TextField(_("start of the answer"), blank=True, default="")

    class Meta:
        verbose_name = _("try")
        verbose_name_plural = _("tries")
        constraints = [
            models.UniqueConstraint(
                name="accounts_attempt_once_each", fields=["delivery", "number"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delivery_id} #{self.number}"


class BalanceAlert(models.Model):
    """Below which balance an account wants to know; told once until the balance recovers."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        primary_key=True,
        verbose_name=_("user"),
    )
    below = models.PositiveBigIntegerField(_("below"))
    is_low = models.BooleanField(_("told"), default=False)

    class Meta:
        verbose_name = _("balance alert")
        verbose_name_plural = _("balance alerts")
        constraints = [
            models.CheckConstraint(
                name="accounts_alert_has_bound", condition=models.Q(below__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.below}"
