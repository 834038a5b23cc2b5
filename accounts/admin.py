"""Users and their keys in the console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.admin import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import selectors, services, webhook_admin  # noqa: F401  # registers its screens
from accounts.console_permissions import may
from accounts.forms import IssueKeyForm
from accounts.models import ApiKey, User
from accounts.types import STAFF_ROLES, IssuedKey, Role, Scope
from facefusion_site.common.changelists import MATCHES_MAX, CappedPaginator, IndexedSearchMixin
from facefusion_site.common.errors import DomainError
from facefusion_site.common.trail import record_row, state_of
from facefusion_site.common.unfold import ModelAdmin, TabularInline, action, display

# What a user may do follows from the role alone.
admin.site.unregister(Group)
# Its screen shows the secrets of other people's authenticators.
admin.site.unregister(TOTPDevice)


class ApiKeyInline(TabularInline[ApiKey, User]):
    """A user's keys: looked at here, issued by the button, revoked by the action on keys."""

    model = ApiKey
    extra = 0
    fields = (
        "name",
        "last4",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "last_used_from",
        "exposed_at",
        "revoked_at",
    )
    readonly_fields = fields
    ordering = ("-created_at",)
    verbose_name_plural = _("API keys")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(IndexedSearchMixin, DjangoUserAdmin[User], ModelAdmin[User]):
    """Accounts. They are switched off, never deleted: the ledger refers to them for ever."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "user_ref",
        "role_badge",
        "plan",
        "email",
        "is_active",
        "sandbox_badge",
        "date_joined",
    )
    list_filter = ("role", "plan", "is_active", ("sandbox_of", admin.EmptyFieldListFilter))
    list_select_related = ("sandbox_of",)
    search_fields = ("username", "user_ref", "email")
    search_help_text = _("how a user name, user_ref or e-mail begins")
    # In the order of joining, without a sort of all of them.
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    filter_horizontal = ()
    readonly_fields = ("sandbox_of", "last_login", "date_joined")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "username",
                    "password",
                    "user_ref",
                    "role",
                    "plan",
                    "plan_since",
                    "time_zone",
                    "label_profile",
                    "is_active",
                    "sandbox_of",
                )
            },
        ),
        (_("Contact"), {"fields": ("email", "first_name", "last_name")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("username", "user_ref", "role", "plan", "email", "password1", "password2")},
        ),
    )
    inlines = (ApiKeyInline,)
    actions_detail = ("customer", "issue_key")

    @display(
        description=_("role"),
        ordering="role",
        label={Role.USER: "info", Role.OPERATOR: "warning", Role.ADMIN: "success"},
    )
    def role_badge(self, user: User) -> tuple[str, str]:
        return user.role, str(Role(user.role).label)

    @display(description=_("sandbox of"), ordering="sandbox_of", label=True)
    def sandbox_badge(self, user: User) -> str | None:
        return None if user.sandbox_of is None else user.sandbox_of.username

    def matches(self, text: str) -> Q:
        """By how a name, reference or address begins."""
        return Q(pk__in=selectors.user_ids_beginning(text=text, limit=MATCHES_MAX))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Integrators store the reference, so it is fixed once the account exists.

        A sandbox is what it is: nobody signs in to it, and it has neither a role nor a plan.
        Nobody gives themselves another role, nor locks themselves out: that takes a second person.
        """
        if obj is None:
            return self.readonly_fields
        fixed: tuple[str, ...] = ("username", "role", "plan") if obj.is_sandbox else ()
        if obj.pk == request.user.pk:
            fixed = ("role", "is_active")
        return (*self.readonly_fields, "user_ref", *fixed)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[ApiKeyInline], ...]:
        """A new user has no keys to show."""
        return () if obj is None else self.inlines

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: forms.ModelForm[User],
        change: bool,  # noqa: FBT001  # Django's signature
    ) -> None:
        """The staff flags follow the role; a constraint would refuse anything else."""
        obj.is_staff = obj.role in STAFF_ROLES
        obj.is_superuser = obj.role == Role.ADMIN
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def has_issue_key_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever may change users may give them keys."""
        return self.has_change_permission(request)

    def has_recharge_permission(self, request: HttpRequest) -> bool:
        """Whoever prepares recharges is offered to do so for chosen users."""
        return may(request.user, Scope.RECHARGES_WRITE)

    def has_customer_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """Whoever sees users sees their page."""
        return self.has_view_permission(request)

    @action(
        description=_("Everything about this customer"),
        url_path="customer",
        permissions=["customer"],
        icon="person_search",
    )
    def customer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the page that shows several apps at once."""
        user = get_object_or_404(User, pk=object_id)
        return HttpResponseRedirect(reverse("admin:customer", args=[user.user_ref]))

    @action(
        description=_("Issue an API key"),
        url_path="issue-key",
        permissions=["issue_key"],
        icon="key",
    )
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for name and scopes; the page after that shows the key this once."""
        user = get_object_or_404(User, pk=object_id)
        form = IssueKeyForm(request.POST or None, user=user)
        issued = self._issue(request, user, form) if form.is_valid() else None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Issue an API key"),
            "opts": self.opts,
            "original": user,
            "form": form,
            "issued": issued,
        }
        # The console marks all its pages no-store, so no cache keeps the key.
        return render(request, "account/issue_key.html", context)

    def _issue(self, request: HttpRequest, user: User, form: IssueKeyForm) -> IssuedKey | None:
        try:
            issued = services.issue_api_key(user_id=user.pk, **form.request())
        except DomainError as error:
            form.add_error(None, str(error))
            return None
        key = ApiKey.objects.get(pk=issued.id)
        record_row(actor_id=request.user.pk, row=key, before=None, after=state_of(key))
        self.log_change(request, user, [{"added": {"name": "API key", "object": str(issued.id)}}])
        return issued


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin[ApiKey]):
    """All keys; the only thing to do here is to revoke some."""

    list_display = (
        "name",
        "last4",
        "user",
        "mode",
        "state",
        "daily_token_budget",
        "requires_signature",
        "expires_at",
        "last_used_at",
        "last_used_from",
        "exposed_at",
    )
    list_filter = (
        ("revoked_at", admin.EmptyFieldListFilter),
        ("exposed_at", admin.EmptyFieldListFilter),
        ("user__sandbox_of", admin.EmptyFieldListFilter),
        "requires_signature",
    )
    list_select_related = ("user",)
    search_fields = ("name", "last4", "user__username", "user__user_ref")
    ordering = ("-created_at",)
    show_full_result_count = False
    list_per_page = 50
    actions = ("revoke",)

    @display(description=_("kind of key"), label={"live": "info", "test": "warning"})
    def mode(self, key: ApiKey) -> tuple[str, str]:
        return ("test", str(_("test"))) if key.is_test else ("live", str(_("live")))

    @display(
        description=_("state"),
        label={"active": "success", "expired": "warning", "revoked": "danger"},
    )
    def state(self, key: ApiKey) -> tuple[str, str]:
        if key.revoked_at is not None:
            return "revoked", str(_("revoked"))
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return "expired", str(_("expired"))
        return "active", str(_("active"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users may take their keys away."""
        return request.user.has_perm("accounts.change_user")

    @admin.action(description=_("Revoke the chosen keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        for key in queryset:
            services.revoke_api_key(key_id=key.pk, user_id=key.user_id)
            self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
        self.message_user(request, _("The chosen keys no longer work."))
