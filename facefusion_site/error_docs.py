"""The page of error codes, made from the classes.

``python -m facefusion_site.error_docs write`` makes it, ``check`` fails when it is behind the code.
What the API answers, what the pages under ``/errors/`` show and what docs/errors.md says are the
same texts.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import django
from django.utils import translation

from facefusion_site.common import errors
from facefusion_site.common.errors import DomainError

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
_HEAD: Final = """# Error codes

Made from the code by `make errors`; change the classes, not this page.

Every refusal is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):

- `code` never changes its meaning; `detail` is in your language (`Accept-Language`: en, zh-hans).
- `param` names the field or header at fault; `errors[]` lists several faults with JSON pointers.
- `request_id` finds the request in our logs.
- `retryable` says whether the same request may succeed later. Repeat it with the same
  `Idempotency-Key`, and wait as long as `Retry-After` says where that header is set.
- `charged_tokens` is what the refused request has cost: always 0.
- `type` is the address of a page about the code, `/errors/CODE` on the server that answered, with
  the texts of this one.

| Code | Status | Meaning | What to do next | Again | Charged |
|---|---|---|---|---|---|
"""
_FAILURES_HEAD: Final = """
## Failures of jobs

A job that was accepted can still end without a result. Its `error.code` says why. The whole hold
goes back: such a job costs nothing. A job that you cancel while it runs is different: what was done
by then is charged, as its receipt says. The pipeline's own codes are about the pictures; another
attempt would end the same.

| Code | Meaning |
|---|---|
"""
_LINES_HINT: Final = """
The codes of single lines of a recharge are in [Recharges](recharges.md).
"""


def render() -> str:
    """The whole page, in English."""
    with translation.override("en"):
        rows = [_row(error) for error in errors.catalogue()]
        return "".join([_HEAD, *rows, _FAILURES_HEAD, *_failure_rows(), _LINES_HINT])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page or compare it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("write", "check"))
    action = parser.parse_args(arguments).action
    django.setup()
    text = render()
    if action == "write":
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.stderr.write("error: docs/errors.md is behind the code; run: make errors\n")
        return 1
    return 0


def _row(error: type[DomainError]) -> str:
    cells = (
        f'<a id="{error.code}"></a>`{error.code}`',
        str(error.http_status),
        _meaning(error),
        str(error.next_step),
        "yes" if error.retryable else "no",
        str(error.charge),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _meaning(error: type[DomainError]) -> str:
    """The title, and what the first paragraph of the class adds to it."""
    paragraph = (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return f"{error.title}. {paragraph}"


def _failure_rows() -> Iterator[str]:
    from inference.errors import failure_codes, failure_text  # noqa: PLC0415  # needs loaded apps

    for code in failure_codes():
        yield f'| <a id="job-{code}"></a>`{code}` | {failure_text(code)} |\n'


if __name__ == "__main__":
    sys.exit(main())
