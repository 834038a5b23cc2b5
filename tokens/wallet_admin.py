"""Back-office screens of wallets: look, freeze, close, correct. Each button asks before it acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import step_up
from accounts.console_permissions import may
from accounts.errors import StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common.changelists import IndexedSearchMixin
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import action, display
from tokens import services, wallet_selectors
from tokens.admin_base import LedgerModelAdmin, wallet_ids
from tokens.models import Adjustment, Wallet
from tokens.wallet_forms import AdjustForm, CloseForm, WalletStepForm
from tokens.wallets import AdjustmentOrder, AdjustmentPreview, AdjustmentView, WalletView

Answer = WalletView | AdjustmentView | AdjustmentPreview
Status = Wallet.Status


@admin.register(Wallet)
class WalletAdmin(IndexedSearchMixin, LedgerModelAdmin[Wallet]):
    """What everybody has."""

    list_display = ("owner", "status_label", "available", "held", "total", "opened_at")
    list_filter = ("status",)
    list_select_related = ("owner",)
    search_fields = ("owner__user_ref", "owner__username")
    search_help_text = _("how a user_ref, user name or e-mail begins")
    ordering = ("-id",)
    actions_detail: ClassVar[tuple[str, ...]] = ("adjust", "freeze", "unfreeze", "close")

    def matches(self, text: str) -> Q:
        """By the owner."""
        return Q(pk__in=wallet_ids(text))

    @admin.display(description=_("total"))
    def total(self, wallet: Wallet) -> int:
        """Free and held tokens together."""
        return wallet.available + wallet.held

    @display(
        description=_("status"),
        ordering="status",
        label={Status.ACTIVE: "success", Status.FROZEN: "warning", Status.CLOSED: "danger"},
    )
    def status_label(self, wallet: Wallet) -> tuple[str, str]:
        """Status as a badge."""
        return wallet.status, wallet.get_status_display()

    def has_steer_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever corrects wallets; the services ask for the second factor."""
        return may(request.user, Scope.WALLETS_WRITE)

    def has_freeze_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Those, and whoever watches for abuse."""
        return may(request.user, Scope.WALLETS_WRITE, Scope.FREEZES_WRITE)

    @action(description=_("Correct"), url_path="adjust", permissions=["steer"], icon="tune")
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give or take tokens; by default only to see what would happen."""
        form = AdjustForm(request.POST or None, is_proven=_is_proven(request))

        def send(wallet: Wallet) -> Answer:
            data = form.cleaned_data
            order = AdjustmentOrder(wallet.owner.user_ref, data["amount"], data["reason"])
            if data["dry_run"]:
                return services.preview_adjustment(order=order, actor_id=actor_id(request))
            _prove(request, form, is_needed=True)
            return services.adjust_wallet(
                order=order, actor_id=actor_id(request), idempotency_key=data["key"]
            )

        return self._answer(request, object_id, form, send, title=_("Correct the wallet"))

    @action(description=_("Freeze"), url_path="freeze", permissions=["freeze"], icon="ac_unit")
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop spending and recharges."""
        return self._step(request, object_id, services.freeze_wallet, title=_("Freeze the wallet"))

    @action(description=_("Unfreeze"), url_path="unfreeze", permissions=["freeze"], icon="sunny")
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it spend and receive again."""
        return self._step(
            request, object_id, services.unfreeze_wallet, title=_("Unfreeze the wallet")
        )

    @action(description=_("Close for good"), url_path="close", permissions=["steer"], icon="cancel")
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close it for good."""
        form = CloseForm(request.POST or None, is_proven=_is_proven(request))

        def send(wallet: Wallet) -> Answer:
            writes_off = form.cleaned_data["writes_off"]
            return services.close_wallet(
                user_ref=wallet.owner.user_ref,
                reason=form.cleaned_data["reason"],
                actor_id=actor_id(request),
                writes_off=writes_off,
                unproven_tokens_max=_prove(request, form, is_needed=writes_off),
            )

        return self._answer(request, object_id, form, send, title=_("Close the wallet for good"))

    def _step(
        self,
        request: HttpRequest,
        object_id: str,
        service: Callable[..., WalletView],
        *,
        title: object,
    ) -> HttpResponse:
        form = WalletStepForm(request.POST or None, is_proven=_is_proven(request))

        def send(wallet: Wallet) -> Answer:
            return service(
                user_ref=wallet.owner.user_ref,
                reason=form.cleaned_data["reason"],
                actor_id=actor_id(request),
                unproven_tokens_max=_prove(request, form, is_needed=False),
            )

        return self._answer(request, object_id, form, send, title=title)

    def _answer(
        self,
        request: HttpRequest,
        object_id: str,
        form: WalletStepForm,
        send: Callable[[Wallet], Answer],
        *,
        title: object,
    ) -> HttpResponse:
        """Show the form; or act, and then show the wallet, or what would happen to it."""
        wallet = get_object_or_404(Wallet.objects.select_related("owner"), pk=object_id)
        preview = None
        if form.is_valid():
            try:
                done = send(wallet)
            except DomainError as error:
                form.add_error(None, f"{error} {error.next_step}")
            else:
                if not isinstance(done, AdjustmentPreview):
                    messages.success(request, _("Done; the audit trail keeps the reason."))
                    page = reverse("admin:tokens_wallet_change", args=[wallet.pk])
                    return HttpResponseRedirect(page)
                preview = done
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "original": wallet,
            "wallet": wallet_selectors.wallet(user_ref=wallet.owner.user_ref),
            "form": form,
            "preview": preview,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
        }
        return render(request, "tokens/wallet_step.html", context)


@admin.register(Adjustment)
class AdjustmentAdmin(LedgerModelAdmin[Adjustment]):
    """Corrections by hand; new ones are made on the page of a wallet."""

    list_display = (
        "created_at",
        "wallet_owner",
        "amount",
        "available_before",
        "available_after",
        "reason",
        "actor",
        "key_scope",
    )
    list_filter = ("key_scope",)
    list_select_related = ("wallet__owner", "actor")
    search_fields = ("=id", "wallet__owner__user_ref", "actor__user_ref", "reason")
    search_help_text = _("adjustment id, user_ref of owner or principal, or reason")
    ordering = ("-created_at", "-id")

    @admin.display(description=_("wallet"), ordering="wallet__owner__user_ref")
    def wallet_owner(self, adjustment: Adjustment) -> str:
        """Whose wallet."""
        return str(adjustment.wallet.owner)


def _is_proven(request: HttpRequest) -> bool:
    return step_up.session_proven_at(request) is not None


def _prove(request: HttpRequest, form: WalletStepForm, *, is_needed: bool) -> int | None:
    """Check the code of the form, if there is one.

    Returns:
        How many tokens may be touched without a proof; None for any number.

    Raises:
        StepUpRequiredError: ``is_needed``, and nothing was proven.
    """
    code = form.cleaned_data.get("code", "").strip()
    if code:
        step_up.prove_session(request, code=code)
        return None
    if _is_proven(request):
        return None
    if is_needed:
        raise StepUpRequiredError(_("Prove your second factor to go on."))
    return int(settings.RECHARGE_STEP_UP_TOKENS)
