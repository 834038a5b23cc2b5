"""The catalogue of translations is complete, current and whole."""

from __future__ import annotations

import pytest
from babel.messages.catalog import Catalog

from facefusion_site import i18n


def catalogue(*messages, **options):
    made = Catalog(locale="zh_Hans", fuzzy=False)
    for message, text in messages:
        made.add(message, text, **options)
    return made


def faults(template, translations):
    return i18n.find_faults(
        template=template, catalogue=translations, binary=i18n._binary(translations)
    )


def test_the_catalogue_of_the_product_is_complete_and_compiled():
    assert i18n.main(["check"]) == 0


def test_a_complete_catalogue_has_no_faults():
    both = catalogue(("Sign in", "登录"), (("%(n)d job", "%(n)d jobs"), ("%(n)d 个任务",)))
    assert faults(both, both) == []


@pytest.mark.parametrize(
    ("translations", "fault"),
    [
        (catalogue(), "not in the catalogue"),
        (catalogue(("Hello {name}", "")), "not translated"),
        (catalogue(("Hello {name}", "你好 {nmae}")), "other placeholders"),
        (catalogue(("Hello {name}", "你好 {name}"), flags=["fuzzy"]), "fuzzy"),
        (catalogue(("Hello {name}", "你好 {name}"), ("Gone", "不见")), "no longer used"),
    ],
)
def test_each_fault_is_found(translations, fault):
    found = faults(catalogue(("Hello {name}", None)), translations)
    assert len(found) == 1
    assert fault in found[0]


def test_a_stale_binary_is_found():
    both = catalogue(("Sign in", "登录"))
    old = i18n._binary(catalogue(("Sign in", "登入")))
    assert i18n.find_faults(template=both, catalogue=both, binary=old) != []
    assert i18n.find_faults(template=both, catalogue=both, binary=None) != []


def test_texts_are_found_in_code_and_templates(tmp_path):
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "a.py").write_text(
        'x = _("plain")\ny = ngettext("one", "many", n)\nz = pgettext("verb", "close")\n'
    )
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.html").write_text(
        "<div>\n      <p>{% translate 'in a tag' %}\n  </p>\n"
        "{% blocktranslate count n=n trimmed %}{{ n }} face\n{% plural %}{{ n }} faces\n"
        "{% endblocktranslate %}</div>\n"
    )
    found = {(m.context, m.id) for m in i18n.template_catalogue(tmp_path) if m.id}
    assert found == {
        (None, "plain"),
        (None, ("one", "many")),
        ("verb", "close"),
        (None, "in a tag"),
        (None, ("%(n)s face", "%(n)s faces")),
    }
