"""HTTP face of accounts: who am I, and the users an integrator creates."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import freeze_selectors, selectors, services
from accounts.api.freeze_serializers import ActiveFreezeSerializer
from accounts.api.serializers import MeSerializer, UserCreateSerializer, UserSerializer
from accounts.console_permissions import role_may
from accounts.errors import (
    PasswordRefusedError,
    RoleRequiredError,
    ScopeMissingError,
    UserExistsError,
    UserNotFoundError,
    UserRefInvalidError,
)
from accounts.models import ApiKey, User
from accounts.permissions import scope
from accounts.types import ROLE_SCOPES, Role, Scope
from facefusion_site.common.errors import InvalidRequestError
from facefusion_site.common.schema import problems


class MeView(APIView):
    """The caller."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="me",
        summary="Show who you are",
        tags=["accounts"],
        responses={200: MeSerializer} | problems(),
    )
    def get(self, request: Request) -> Response:
        """Show who you are and what your credentials allow."""
        user = request.user
        assert isinstance(user, User)
        allowed: set[str] = set(ROLE_SCOPES[Role(user.role)])
        if isinstance(request.auth, ApiKey):
            allowed &= set(request.auth.scopes)
        frozen = freeze_selectors.active_freezes(user=user)
        body = UserSerializer(user).data | {
            "scopes": sorted(allowed),
            "freezes": ActiveFreezeSerializer(frozen, many=True).data,
        }
        return Response(body)


class UserListView(APIView):
    """Accounts that an integrator creates for its own customers."""

    permission_classes = [scope("users:write")]

    @extend_schema(
        operation_id="users_create",
        summary="Create a user",
        tags=["accounts"],
        request=UserCreateSerializer,
        responses={201: UserSerializer}
        | problems(
            InvalidRequestError,
            UserRefInvalidError,
            PasswordRefusedError,
            UserExistsError,
            RoleRequiredError,
            ScopeMissingError,
        ),
    )
    def post(self, request: Request) -> Response:
        """Create a user. Only administrators and owners create staff."""
        body = UserCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        caller = request.user
        assert isinstance(caller, User)
        if wanted["role"] != Role.USER and not role_may(Role(caller.role), Scope.ACCOUNTS_WRITE):
            raise RoleRequiredError(_("Only administrators and owners create staff."), param="role")
        user = services.register_user(
            username=wanted.get("username"),
            password=wanted.get("password"),
            user_ref=wanted.get("user_ref"),
            role=wanted["role"],
            email=wanted["email"],
        )
        location = reverse("api-user", kwargs={"user_ref": user.user_ref})
        return Response(
            UserSerializer(user).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": location},
        )


class UserView(APIView):
    """One account."""

    permission_classes = [scope("users:read")]

    @extend_schema(
        operation_id="users_retrieve",
        summary="Show a user",
        tags=["accounts"],
        responses={200: UserSerializer}
        | problems(UserNotFoundError, RoleRequiredError, ScopeMissingError),
    )
    def get(self, request: Request, user_ref: str) -> Response:
        """Show a user by its public reference."""
        return Response(UserSerializer(selectors.user_by_ref(user_ref=user_ref)).data)
