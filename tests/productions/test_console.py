"""The console's pages of productions: what they show, and the steps that they ask before."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.tests import authenticators
from productions import services
from productions.models import Production
from tests.productions import factories

pytestmark = pytest.mark.django_db(transaction=True)


def page(name: str, production: Production) -> str:
    return reverse(f"admin:productions_production_{name}", args=[production.pk])


def test_an_operator_takes_a_production_to_its_end(fast_swap):
    studio, operator = factories.studio(), factories.maker()
    browser = Client()
    browser.force_login(operator)
    authenticators.enrol(operator)
    code = authenticators.code_of(operator)
    browser.post(reverse("second-factor"), {"action": "prove", "code": code})
    cast = (
        factories.person("ada", owner_id=studio.pk, name="Ada <b>", token_quota=9),
        factories.person("bob", owner_id=studio.pk, job_quota=0),
    )
    production = factories.make_production(studio, people=cast, rows=4, is_automatic=False)
    services.estimate(production=production, actor_id=studio.pk)

    asked = browser.get(page("fund", production))
    assert "Approval policies apply" in asked.content.decode()
    early = browser.post(page("start", production))
    assert "does not allow this" in early.content.decode()
    for step in ("fund", "start"):
        assert browser.post(page(step, production)).status_code == 302, step
    shown = browser.get(page("change", production)).content.decode()
    assert "Ada &lt;b&gt;" in shown
    assert "Queued" in shown
    assert "The person has a quota of 0 jobs." in shown
    factories.run_jobs(production)
    assert browser.post(page("finish", production)).status_code == 302

    report = browser.get(page("report", production)).getvalue().decode()
    assert [line.split(",")[4] for line in report.splitlines()[1:]] == [
        "succeeded",
        "refused",
        "succeeded",
        "refused",
    ]
    listed = browser.get(reverse("admin:productions_production_changelist"))
    assert "Finished" in listed.content.decode()
