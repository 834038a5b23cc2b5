"""Expected failures of productions."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class ProductionNotFoundError(DomainError):
    """No production of the caller has this id."""

    code = "production_not_found"
    http_status = 404
    title = _("There is no such production")
    next_step = _("List your productions and take the id from there.")


class PersonNotFoundError(DomainError):
    """Nobody in the production has this name."""

    code = "person_not_found"
    http_status = 404
    title = _("The production has no such person")
    next_step = _("Read the production: it lists its people.")


class ProductionStateError(DomainError):
    """The step does not follow from the state."""

    code = "production_state"
    http_status = 409
    title = _("The production is in another state")
    next_step = _("Read its state: estimate, fund, start, retry, finish follow each other.")


class ProductionEmptyError(DomainError):
    """No row can become a job, so there is nothing to pay for."""

    code = "production_empty"
    http_status = 409
    title = _("No row of the production can become a job")
    next_step = _("Read the errors of its rows and load a corrected manifest.")


class ProductionOverBudgetError(DomainError):
    """The estimate exceeds the budget; ``estimate`` and ``budget`` say by how much."""

    code = "production_over_budget"
    http_status = 409
    title = _("The production costs more than its budget")
    next_step = _("Load a smaller manifest, or create the production with a larger budget.")


class ProductionWalletBusyError(DomainError):
    """Another production of the same account has tokens in the wallet."""

    code = "production_wallet_busy"
    http_status = 409
    title = _("The wallet serves another production")
    next_step = _("Finish or cancel the other one, or run this one from an account of its own.")


class ProductionBusyError(DomainError):
    """Rows are ready or jobs run; ``open_rows`` says how many."""

    code = "production_busy"
    http_status = 409
    title = _("The production is still at work")
    next_step = _("Wait until every row has ended, or cancel the production.")
    retryable = True


class NothingToRetryError(DomainError):
    """None of the rows has failed or was refused."""

    code = "production_nothing_to_retry"
    http_status = 409
    title = _("No row can be tried again")
    next_step = _("Choose rows that failed, expired, were canceled or were refused.")


class ManifestUnreadableError(DomainError):
    """The file as a whole cannot be read; faulty rows alone are reported with their rows."""

    code = "manifest_unreadable"
    title = _("The manifest cannot be read")
    next_step = _("Send JSON with “rows”, or UTF-8 CSV with the columns of the documentation.")


class ConsentMissingError(DomainError):
    """The person's consent was revoked or has ended; of rows only."""

    code = "consent_missing"
    http_status = 409
    title = _("The person has not agreed, or not any more")
    next_step = _("Ask the person for a new consent and create a production with it.")


class PersonQuotaError(DomainError):
    """The job would exceed the person's tokens or jobs; of rows only."""

    code = "person_quota_exceeded"
    http_status = 409
    title = _("The person's quota is used up")
    next_step = _("Retry the row when jobs of the person have failed, or give a larger quota.")


class ProductionBudgetError(DomainError):
    """The job would exceed what the production was funded with; of rows only."""

    code = "production_budget_spent"
    http_status = 409
    title = _("The tokens of the production are used up")
    next_step = _("Retry the row when others have failed, or run it in another production.")


class PersonUnknownError(DomainError):
    """A row names nobody of the production; of rows only."""

    code = "person_unknown"
    title = _("The row names nobody of the production")
    next_step = _("Write the name of a person as the production lists it.")


class RowUnreadableError(DomainError):
    """A row is not well-formed; of rows only."""

    code = "manifest_row_unreadable"
    title = _("The row cannot be read")
    next_step = _("Correct the fields that the row's error names and load the manifest again.")
