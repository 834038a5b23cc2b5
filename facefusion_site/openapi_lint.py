"""Rules for the OpenAPI document beside its own: ``python -m facefusion_site.openapi_lint FILE``.

Prints each fault and exits with 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

Json = dict[str, Any]

METHODS: Final = ("get", "post", "put", "patch", "delete")
PROBLEM_TYPE: Final = "application/problem+json"
# Bytes cannot be shown.
SHOWN: Final = frozenset({"application/json", PROBLEM_TYPE, "text/event-stream"})


def main(arguments: Sequence[str]) -> int:
    """Lint one file."""
    (file,) = arguments
    faults = list(lint(yaml.safe_load(Path(file).read_text(encoding="utf-8"))))
    sys.stderr.writelines(f"{file}: {fault}\n" for fault in faults)
    return 1 if faults else 0


def lint(document: Json) -> Iterator[str]:
    """Every fault of a document in words."""
    invalid = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    if invalid:
        yield from (f"not OpenAPI 3.1: {message}" for message in invalid)
        return
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                where = f"{method.upper()} {path}"
                for fault in _operation_faults(document, item[method]):
                    yield f"{where}: {fault}"


def _operation_faults(document: Json, operation: Json) -> Iterator[str]:
    for name in ("operationId", "summary", "description", "tags"):
        if not operation.get(name):
            yield f"no {name}"
    responses = operation["responses"]
    if not any(PROBLEM_TYPE in it.get("content", {}) for it in responses.values()):
        yield "no error is documented"
    contents = {"request": operation.get("requestBody", {}).get("content", {})}
    contents |= {status: it.get("content", {}) for status, it in responses.items()}
    for place, content in contents.items():
        for kind, media in content.items():
            if kind in SHOWN:
                yield from (f"{place}: {it}" for it in _example_faults(document, media))


def _example_faults(document: Json, media: Json) -> Iterator[str]:
    examples = [media["example"]] if "example" in media else []
    examples += [_resolved(document, it)["value"] for it in media.get("examples", {}).values()]
    if not examples:
        yield "no example"
    schema = {**media["schema"], "components": document["components"]}
    for example in examples:
        for error in Draft202012Validator(schema).iter_errors(example):
            yield f"the example is not as the schema says: {error.json_path}: {error.message}"


def _resolved(document: Json, example: Json) -> Json:
    if "$ref" not in example:
        return example
    found: Json = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
