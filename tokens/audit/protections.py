"""Are the triggers and constraints still there that stop a bad write in the first place?"""

from __future__ import annotations

from django.apps import apps
from django.db import connection
from django.db.models import CheckConstraint, UniqueConstraint

from tokens.audit.types import Violation, found

PROTECTIONS_STAND = "triggers_and_constraints_stand"
TRIGGERS = (
    "tokens_adjustment_immutable",
    "tokens_approvalanswer_checked",
    "tokens_approvalanswer_immutable",
    "tokens_approvalassessment_immutable",
    "tokens_approvalpolicy_decided",
    "tokens_approvalrequest_checked",
    "tokens_approvalvote_checked",
    "tokens_approvalvote_immutable",
    "tokens_auditevent_immutable",
    "tokens_balancesnapshot_immutable",
    "tokens_creditlot_kept",
    "tokens_hold_kept",
    "tokens_holdevent_immutable",
    "tokens_monthclose_guarded",
    "tokens_planrule_immutable",
    "tokens_policychange_checked",
    "tokens_pricestop_immutable",
    "tokens_pricetick_immutable",
    "tokens_ratecard_checked",
    "tokens_rechargebatch_approved",
    "tokens_rechargebatch_kept",
    "tokens_rechargechunk_immutable",
    "tokens_rechargechunk_kept",
    "tokens_rechargeline_immutable",
    "tokens_reconrun_immutable",
    "tokens_scheduledgrant_immutable",
    "tokens_sealblock_immutable",
    "tokens_sealedevent_immutable",
    "tokens_sealmember_immutable",
    "tokens_snapshotday_immutable",
    "tokens_transfer_immutable",
    "tokens_transfer_month_is_open",
    "tokens_wallet_closed_for_good",
    "tokens_wallet_kept",
    "trust_blockedhash_stays",
    "trust_consent_kept",
    "trust_consentasset_kept",
    "trust_erasurereceipt_immutable",
    "trust_takedown_stays",
)
STANDING_SQL = """
SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') AND NOT tgisinternal
 UNION ALL
SELECT conname FROM pg_constraint WHERE convalidated
 UNION ALL
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indisunique AND i.indisvalid
"""


def find_missing() -> Violation | None:
    """What the models and migrations promise and the database no longer enforces."""
    promised = {
        constraint.name
        for model in apps.get_app_config("tokens").get_models()
        for constraint in model._meta.constraints  # noqa: SLF001  Django documents it
        if isinstance(constraint, CheckConstraint | UniqueConstraint)
    }
    with connection.cursor() as cursor:
        cursor.execute(STANDING_SQL)
        standing = {row[0] for row in cursor.fetchall()}
    return found(PROTECTIONS_STAND, sorted(promised.union(TRIGGERS) - standing))
