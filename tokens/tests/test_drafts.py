"""Recharges in preparation: every row judged before anything moves, and signed as it was seen."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import connection
from django.utils import timezone, translation

from accounts.errors import StepUpRequiredError
from accounts.types import Role
from tokens import draft_handlers, draft_selectors, services, tasks
from tokens.draft_errors import (
    DraftChangedError,
    DraftHasFaultsError,
    DraftNotFoundError,
    DraftStateError,
    SegmentInvalidError,
    SegmentNotFoundError,
)
from tokens.drafts import SegmentFilter
from tokens.errors import FileTooLargeError, InvalidRechargeError, UnreadableFileError
from tokens.models import (
    AuditEvent,
    RechargeBatch,
    RechargeDraft,
    RechargeDraftFile,
    RechargeDraftRow,
)
from tokens.recharge_lists import pasted, template_csv, template_xlsx
from tokens.tests.approvals import make_policy
from tokens.tests.drafts import check, checked, submit, terms
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, create
from tokens.types import RechargeMode

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def maker():
    return make_user(role=Role.OPERATOR)


def verdicts(draft) -> list[tuple[str, str]]:
    rows = RechargeDraftRow.objects.filter(draft=draft).order_by("row_no")
    return list(rows.values_list("verdict", "code"))


def test_each_row_has_a_verdict_and_nothing_moves(maker):
    usual, same, new = make_user(), make_user(), make_user()
    create([(usual.user_ref, 10)], actor=maker)
    create([(same.user_ref, 7)], actor=maker)
    lines = [
        f"{usual.user_ref},30,first",
        f"{usual.user_ref},31,again",
        f"{same.user_ref},7,",
        f"{new.user_ref},1000,",
        "nobody,5,",
        f"{new.user_ref}x,=1+1,",
    ]
    draft = checked(maker, "\n".join(["User,Tokens,Note", *lines]))
    assert draft.status == "CHECKED"
    assert verdicts(draft) == [
        ("ok", ""),
        ("error", "duplicate_row_in_batch"),
        ("warn", "same_amount_lately"),
        ("ok", ""),
        ("error", "account_not_found"),
        ("error", "formula_refused"),
    ]
    assert (draft.rows_count, draft.warned_count, draft.failed_count) == (6, 1, 3)
    assert draft.tokens_total == 30 + 7 + 1000
    assert draft.columns == ["User", "Tokens", "Note"]
    figures = draft_selectors.figures(draft=draft)
    assert figures is not None
    assert [(it.category, it.rows, it.tokens) for it in figures.categories] == [("PROMO", 3, 1037)]
    assert [(it.user_ref, it.available_after) for it in figures.top][:2] == [
        (new.user_ref, 1000),
        (usual.user_ref, 40),
    ]
    assert (figures.balance_before, figures.liability_before) == (17, 17)
    assert RechargeBatch.objects.count() == 2


def test_a_row_far_above_the_habit_is_an_outlier(maker):
    usual = make_user()
    create([(usual.user_ref, 10)], actor=maker)
    draft = checked(maker, f"user,amount\n{usual.user_ref},31\n")
    assert verdicts(draft) == [("warn", "above_habit")]
    figures = draft_selectors.figures(draft=draft)
    assert figures is not None
    (outlier,) = figures.outliers
    assert (outlier.amount, outlier.habit) == (31, 10)


def test_what_was_signed_is_what_the_batch_holds(maker, settings):
    people = [make_user() for _number in range(3)]
    draft = checked(
        maker,
        "\n".join(
            ["用户,数量,编号", *(f"{user.user_ref},{5},{user.pk}" for user in people), "x,y,"]
        ),
        ticket="OPS-7",
        expires_at=timezone.now() + dt.timedelta(days=30),
    )
    receipt = submit(draft)
    again = submit(draft)
    assert (again.batch_id, again.is_replay) == (receipt.batch_id, True)
    batch = RechargeBatch.objects.get()
    draft.refresh_from_db()
    assert (draft.status, draft.batch_id) == ("SUBMITTED", batch.pk)
    assert (batch.content_sha256, batch.funding, batch.ticket, batch.source, batch.status) == (
        draft.batch_sha256,
        "CAMPAIGN",
        "OPS-7",
        "CSV",
        "PARTIALLY_APPLIED",
    )
    assert [available(user) for user in people] == [5, 5, 5]
    lines = list(batch.lines.order_by("row_no").values_list("item_key", "outcome"))
    assert lines == [(str(user.pk), "applied") for user in people] + [("", "amount_scale_invalid")]
    with pytest.raises(DraftStateError):
        services.give_terms(draft_id=draft.pk, maker_id=maker.pk, terms=terms())


def test_a_policy_is_named_before_and_asked_after(maker):
    make_policy(name="Ten and more", batch_tokens_min=10)
    draft = checked(maker, f"user,amount\n{make_user().user_ref},10\n")
    assert services.expected_policies(draft=draft) == ("Ten and more",)
    assert submit(draft).status == "pending_approval"


def test_only_a_fresh_second_factor_and_the_seen_content_submit(maker):
    draft = checked(maker, f"user,amount\n{make_user().user_ref},10\n")
    for proof in (None, timezone.now() - dt.timedelta(minutes=6)):
        with pytest.raises(StepUpRequiredError):
            submit(draft, second_factor_at=proof)
    seen = draft.batch_sha256
    check(draft.pk, maker, reason="July")
    with pytest.raises(DraftChangedError):
        submit(draft, batch_sha256=seen)
    with pytest.raises(DraftNotFoundError):
        submit(draft, maker=make_user(role=Role.ADMIN))
    assert not RechargeBatch.objects.exists()


def test_rows_changed_behind_the_signature_are_refused(maker):
    draft = checked(maker, f"user,amount\n{make_user().user_ref},10\n")
    RechargeDraftRow.objects.filter(draft=draft).update(amount=11)
    with pytest.raises(DraftChangedError):
        submit(draft)
    assert not RechargeBatch.objects.exists()


def test_all_or_none_refuses_faults_before_anything_is_stored(maker):
    user = make_user()
    draft = checked(maker, f"user,amount\n{user.user_ref},10\nnobody,1\n", mode=RechargeMode.ATOMIC)
    with pytest.raises(DraftHasFaultsError):
        submit(draft)
    assert not RechargeBatch.objects.exists()


def test_terms_come_before_the_check_and_the_check_before_the_end(maker):
    user = make_user()
    draft_id = services.draft_from_users(maker_id=maker.pk, user_ids=[user.pk])
    draft = RechargeDraft.objects.get(pk=draft_id)
    with pytest.raises(DraftStateError):
        submit(draft)
    draft_handlers.check_draft(draft_id=draft_id)
    assert RechargeDraft.objects.get().status == "OPEN"
    services.give_terms(draft_id=draft_id, maker_id=maker.pk, terms=terms(amount=4))
    assert RechargeDraft.objects.get().status == "CHECKING"
    tasks.check_recharge_draft(draft_id=str(draft_id))
    draft.refresh_from_db()
    assert (draft.status, draft.source, draft.tokens_total) == ("CHECKED", "FILTER", 4)


@pytest.mark.parametrize(
    ("content", "language", "fault"),
    [
        ("name,amount\nx,1\n", "en", "one of them “user”"),
        ("user,amount\n", "en", "at least one line"),
        ("name,amount\nx,1\n", "zh-hans", "用户"),
    ],
)
def test_an_unreadable_file_says_why_in_the_language_of_its_maker(maker, content, language, fault):
    with translation.override(language):
        draft = checked(maker, content)
    assert draft.status == "UNREADABLE"
    assert fault in draft.fault or language != "en"
    assert (language == "en") == draft.fault.isascii() or "“" in draft.fault


def test_too_much_is_refused(maker, settings):
    settings.RECHARGE_DRAFT_LINES_MAX = 2
    draft = checked(maker, "user\na\nb\nc\n", amount=1)
    assert (draft.status, draft.rows_count) == ("UNREADABLE", 0)
    assert "at most 2 rows" in draft.fault
    settings.RECHARGE_DRAFT_BYTES_MAX = 5
    with pytest.raises(FileTooLargeError):
        checked(maker, "user\na\n")
    for name in ("june.pdf", "june.ndjson"):
        with pytest.raises(UnreadableFileError):
            checked(maker, "user\na\n", name=name)


def test_lists_segments_and_nobody(maker):
    with pytest.raises(InvalidRechargeError):
        services.draft_from_list(maker_id=maker.pk, text=" \n")
    with pytest.raises(InvalidRechargeError):
        services.draft_from_users(maker_id=maker.pk, user_ids=[])
    alice = make_user(user_ref="vip-alice")
    make_user(user_ref="bob")
    draft_id = services.draft_from_list(maker_id=maker.pk, text=f"{alice.user_ref}\t12\n")
    draft = check(draft_id, maker)
    assert (draft.source, draft.tokens_total, draft.failed_count) == ("LIST", 12, 0)
    segment_id = services.save_segment(
        actor_id=maker.pk, name="VIPs", users=SegmentFilter(user_ref_prefix="vip-")
    )
    draft_id = services.draft_from_segment(maker_id=maker.pk, segment_id=segment_id)
    make_user(user_ref="vip-later")
    draft = check(draft_id, maker, amount=3)
    assert (draft.name, draft.rows_count, draft.tokens_total) == ("VIPs", 1, 3)
    assert services.count_users(users=SegmentFilter(user_ref_prefix="vip-")) == 2
    for users, name in ((SegmentFilter(), "All"), (SegmentFilter(role="USER"), "VIPs")):
        with pytest.raises(SegmentInvalidError):
            services.save_segment(actor_id=maker.pk, name=name, users=users)
    services.retire_segment(actor_id=maker.pk, segment_id=segment_id)
    for unknown in (segment_id, uuid.uuid4()):
        with pytest.raises(SegmentNotFoundError):
            services.draft_from_segment(maker_id=maker.pk, segment_id=unknown)
    nobody = services.save_segment(
        actor_id=maker.pk, name="Nobody", users=SegmentFilter(user_ref_prefix="zz")
    )
    with pytest.raises(InvalidRechargeError):
        services.draft_from_segment(maker_id=maker.pk, segment_id=nobody)
    actions = AuditEvent.objects.filter(subject=f"user_segment:{segment_id}").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "user_segment.created",
        "user_segment.retired",
    ]


@pytest.mark.parametrize(
    ("text", "csv"),
    [
        ("alice\nbob", "user\nalice\nbob"),
        ("alice\uff0c5\nbob\uff0c6", "user,amount\nalice,5\nbob,6"),
        ("alice;5", "user;amount\nalice;5"),
        ("用户\t数量\nalice\t5", "用户\t数量\nalice\t5"),
    ],
)
def test_a_pasted_list_needs_no_header(text, csv):
    assert pasted(text).decode() == csv


@pytest.mark.parametrize("language", ["en", "zh"])
def test_templates_are_files_that_can_be_filled_in(maker, language):
    user = make_user()
    filled = template_csv(language=language).decode() + f"{user.user_ref},5,k,promo,\n"
    assert checked(maker, filled).tokens_total == 5
    empty = services.draft_from_file(
        maker_id=maker.pk, name="t.xlsx", content=template_xlsx(language=language)
    )
    assert "at least one line" in check(empty, maker).fault


def test_the_same_file_names_its_first_batch(maker):
    text = f"user,amount\n{make_user().user_ref},10\n"
    first = checked(maker, text)
    other = checked(make_user(role=Role.OPERATOR), text)
    assert draft_selectors.same_file(draft=other) is None
    receipt = submit(first)
    same = draft_selectors.same_file(draft=other)
    assert same is not None
    assert (same.batch_id, same.maker) == (receipt.batch_id, maker.user_ref)


def test_a_lost_check_is_sent_again_and_old_drafts_are_emptied(maker):
    draft_id = services.draft_from_list(maker_id=maker.pk, text="alice")
    services.give_terms(draft_id=draft_id, maker_id=maker.pk, terms=terms(amount=1))
    assert draft_handlers.unchecked_drafts() == []
    past = timezone.now() - dt.timedelta(days=31)
    RechargeDraft.objects.update(asked_at=past)
    assert draft_handlers.unchecked_drafts() == [draft_id]
    draft_handlers.check_draft(draft_id=draft_id)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tokens_rechargedraft SET created_at = %s", [past])
    assert draft_handlers.purge_drafts() == 1
    assert not RechargeDraftFile.objects.exists()
    assert RechargeDraft.objects.count() == 1
