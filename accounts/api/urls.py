"""Routes of the accounts API, below ``/api/v1/``."""

from django.urls import path

from accounts.api import credentials, freezes, second_factor, views

urlpatterns = [
    path("auth/token", credentials.TokenView.as_view(), name="api-token"),
    path("auth/token/refresh", credentials.TokenRefreshView.as_view(), name="api-token-refresh"),
    path("me", views.MeView.as_view(), name="api-me"),
    path("api-keys", credentials.ApiKeyListView.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>", credentials.ApiKeyView.as_view(), name="api-key"),
    path(
        "api-keys/<uuid:key_id>/rotate",
        credentials.ApiKeyRotateView.as_view(),
        name="api-key-rotate",
    ),
    path("second-factor", second_factor.SecondFactorView.as_view(), name="api-second-factor"),
    path(
        "second-factor/confirm",
        second_factor.SecondFactorConfirmView.as_view(),
        name="api-second-factor-confirm",
    ),
    path(
        "second-factor/recovery-codes",
        second_factor.RecoveryCodesView.as_view(),
        name="api-recovery-codes",
    ),
    path("step-up", second_factor.StepUpView.as_view(), name="api-step-up"),
    path("users", views.UserListView.as_view(), name="api-users"),
    path("users/<str:user_ref>", views.UserView.as_view(), name="api-user"),
    path("users/<str:user_ref>/freezes", freezes.FreezeListView.as_view(), name="api-freezes"),
    path("freezes/<uuid:freeze_id>", freezes.FreezeView.as_view(), name="api-freeze"),
    path("freezes/<uuid:freeze_id>/lift", freezes.FreezeLiftView.as_view(), name="api-freeze-lift"),
    path(
        "freezes/<uuid:freeze_id>/appeal",
        freezes.FreezeAppealView.as_view(),
        name="api-freeze-appeal",
    ),
]
