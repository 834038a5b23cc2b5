"""The catalogue of translations: ``python -m facefusion_site.i18n extract|compile|check``.

Babel does the work of GNU gettext, so nothing has to be installed beside Python. ``extract`` brings
the catalogue up to date with the texts in code and templates, ``compile`` writes the binary file
that Django reads, ``check`` fails when either is behind, or a text is missing, fuzzy or broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import django
import unfold
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT: Final = Path(__file__).resolve().parents[1]
CATALOGUE: Final = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
LOCALE: Final = "zh_Hans"
Text = str | tuple[str, ...]
_FOLDERS: Final = (
    "facefusion_site",
    "accounts",
    "tokens",
    "trust",
    "inference",
    "promotions",
    "productions",
    "risk",
    "templates",
)
_SKIPPED: Final = frozenset({"tests", "migrations"})
_KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
_LINE_WIDTH: Final = 100
# The format wants dates; the history of the file is in the repository.
_NO_DATE: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def product_catalogue() -> Catalog:
    """Every text of the product, untranslated: ours, and those of the console's theme.

    The theme (django-unfold) marks its texts for translation and ships no Chinese; texts that
    Django itself translates are left to Django.
    """
    catalogue = template_catalogue(ROOT)
    known = _django_texts()
    theme = Path(unfold.__file__).parent
    for path in _files([theme], skipped=frozenset({"contrib"})):
        for line, context, message in _extract(path):
            if (context, message) not in known and catalogue.get(message, context) is None:
                catalogue.add(message, None, [("django-unfold", line)], context=context)
    return catalogue


def template_catalogue(root: Path) -> Catalog:
    """Every text in our code and templates below ``root``, untranslated."""
    catalogue = Catalog(project="facefusion-site", charset="utf-8")
    for path in _files([root / name for name in _FOLDERS], skipped=_SKIPPED):
        name = path.relative_to(root).as_posix()
        for line, context, message in _extract(path):
            catalogue.add(message, None, [(name, line)], context=context)
    return catalogue


def read_catalogue(path: Path = CATALOGUE) -> Catalog:
    """The translations on disk."""
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE)


def extract() -> None:
    """Add new texts to the catalogue, drop those that are gone, keep every translation.

    A new text stays empty, and the check reports it: a guess from a similar one would be worse.
    """
    known = read_catalogue() if CATALOGUE.exists() else Catalog(locale=LOCALE)
    fresh = _empty_catalogue()
    for message in product_catalogue():
        if message.id:
            old = known.get(message.id, context=message.context)
            fresh.add(
                message.id,
                old.string if old else None,
                sorted({(path, 0) for path, _line in message.locations}),
                context=message.context,
            )
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    with CATALOGUE.open("wb") as file:
        # Without line numbers and dates: moving code must not change the catalogue.
        write_po(file, fresh, width=_LINE_WIDTH, sort_output=True, include_lineno=False)


def compile_catalogue() -> None:
    """Write the binary file beside the catalogue."""
    CATALOGUE.with_suffix(".mo").write_bytes(_binary(read_catalogue()))


def find_faults(*, template: Catalog, catalogue: Catalog, binary: bytes | None) -> list[str]:
    """What keeps the catalogue from being complete and current, one sentence each."""
    wanted = {(message.context, message.id) for message in template if message.id}
    known = {(message.context, message.id): message for message in catalogue if message.id}
    missing, unused = wanted - known.keys(), known.keys() - wanted
    faults = [f"not in the catalogue: {key[1]!r}" for key in sorted(missing, key=str)]
    faults.extend(f"no longer used: {key[1]!r}" for key in sorted(unused, key=str))
    for key in sorted(wanted & known.keys(), key=str):
        faults.extend(_message_faults(known[key]))
    faults.extend(f"obsolete entry: {message.id!r}" for message in catalogue.obsolete.values())
    if binary != _binary(catalogue):
        faults.append("the .mo file is behind the .po file: run “compile”")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; 1 when the check finds faults."""
    parser = argparse.ArgumentParser(prog="python -m facefusion_site.i18n", description=__doc__)
    parser.add_argument("step", choices=["extract", "compile", "check"])
    step = parser.parse_args(arguments).step
    if step == "extract":
        extract()
        return 0
    if step == "compile":
        compile_catalogue()
        return 0
    compiled = CATALOGUE.with_suffix(".mo")
    faults = find_faults(
        template=product_catalogue(),
        catalogue=read_catalogue(),
        binary=compiled.read_bytes() if compiled.exists() else None,
    )
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


def _empty_catalogue() -> Catalog:
    return Catalog(
        locale=LOCALE,
        project="facefusion-site",
        version="1",
        header_comment="# Simplified Chinese texts of the product.",
        last_translator="facefusion-site",
        language_team="zh_Hans",
        creation_date=_NO_DATE,
        revision_date=_NO_DATE,
        fuzzy=False,
    )


def _files(folders: Iterable[Path], *, skipped: frozenset[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            is_source = path.suffix in {".py", ".html"}
            if is_source and not skipped.intersection(path.relative_to(folder).parts):
                yield path


def _django_texts() -> set[tuple[str | None, Text]]:
    """What Django's own Chinese catalogues translate."""
    texts: set[tuple[str | None, Text]] = set()
    for path in sorted(Path(django.__file__).parent.rglob(f"locale/{LOCALE}/**/django.mo")):
        with path.open("rb") as file:
            texts |= {(message.context, _texts(message.id)) for message in read_mo(file)}
    return texts


def _texts(value: str | Sequence[str]) -> Text:
    """Babel holds plural forms as a list or as a tuple, depending on where they come from."""
    return value if isinstance(value, str) else tuple(value)


def _extract(path: Path) -> Iterator[tuple[int, str | None, Text]]:
    """Line, context and message of each text in a file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        # Django rewrites the template as lines of calls; what it blanks out keeps its indentation,
        # which Python's tokenizer would refuse.
        lines = templatize(source, origin=str(path)).split("\n")
        source = "\n".join(line.lstrip() for line in lines)
    file = io.BytesIO(source.encode("utf-8"))
    found = extract_python(file, _KEYWORDS, (), {"encoding": "utf-8"})
    for line, function, texts, _comments in found:
        context, message = _split(str(function), texts)
        if message and message != ("", ""):
            yield line, context, message


def _split(function: str, texts: object) -> tuple[str | None, Text]:
    """Context and message of one call; an empty message for calls that hold no literal."""
    parts = tuple(texts) if isinstance(texts, tuple | list) else (texts,)
    is_contextual = "pgettext" in function
    context = parts[0] if is_contextual else None
    rest = parts[1:] if is_contextual else parts
    if function.startswith("n"):
        singular, plural = rest[:2]
        return context, (singular or "", plural or "")
    return context, rest[0] or ""


def _message_faults(message: Message) -> Iterator[str]:
    texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))
    ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
    if not all(texts):
        yield f"not translated: {message.id!r}"
    if message.fuzzy:
        yield f"fuzzy: {message.id!r}"
    for text in filter(None, texts):
        if set(_PLACEHOLDER.findall(text)) != set(_PLACEHOLDER.findall(ids[-1])):
            yield f"other placeholders than in English: {message.id!r}"


def _binary(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
