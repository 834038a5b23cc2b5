"""What completes the OpenAPI document once every view has spoken.

Examples, where nobody has written one, follow from the schemas: each member has the value that its
name stands for throughout the document, so one journey can be read across operations.
``openapi_lint`` holds every example, these and the written ones, against its schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from facefusion_site.common.drf import PROBLEM_TYPE
from facefusion_site.common.errors import DomainError, catalogue

Json = dict[str, Any]

METHODS: Final = ("get", "post", "put", "patch", "delete")
JSON_TYPE: Final = "application/json"
EVENTS_TYPE: Final = "text/event-stream"
CSV_TYPE: Final = "text/csv"
_OK: Final = 2
_MOMENT: Final = "2026-11-23T09:00:00Z"
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_UUID: Final = "0d9a3a52-6a7c-4f6c-9c54-0a3f6a1f5f10"
_ADDRESS: Final = "https://faces.example.com/api/v1/assets"
# By name; a value is taken only where its schema allows it.
_VALUES: Final[Mapping[str, Any]] = {
    "actor": "usr_5f2c9a",
    "amount": 100,
    "applied_count": 2,
    "available": 99,
    "available_after": 99,
    "bytes": 183_204,
    "category": "purchased",
    "code": "applied",
    "content_sha256": _SHA256,
    "content_type": "image/jpeg",
    "currency": "tokens",
    "detail": "",
    "email": "alice@example.com",
    "eta_s": 3,
    "event_type": "job.succeeded",
    "events": ["job.succeeded", "job.failed"],
    "failed_users": ["nobody"],
    "filename": "target.jpg",
    "frames": None,
    "height": 606,
    "held": 1,
    "key": "line-1",
    "kind": "image",
    "last4": "x7Qp",
    "last_closed_month": "2026-10",
    "limit": 50,
    "lines_count": 3,
    "mode": "soft_fail",
    "month": "2026-10",
    "name": "backend",
    "next_cursor": None,
    "operation": "image_swap",
    "operator": "june.campaign",
    "password": "correct horse battery staple",
    "percent": 40,
    "quantity": 1,
    "reason": "June campaign",
    "reference": "swap_job:0d9a3a52-6a7c-4f6c-9c54-0a3f6a1f5f10",
    "row": 1,
    "row_no": 1,
    "scopes": ["jobs:read", "jobs:write"],
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "sha256": _SHA256,
    "stage": "swap",
    "state": "succeeded",
    "status": "applied",
    "tokens": 1,
    "total": 100,
    "type": "job.succeeded",
    "url": "https://faces.example.com/api/v1/assets",
    "user": "alice",
    "user_ref": "alice",
    "username": "alice",
    "users": ["alice", "bob"],
    "width": 512,
}
_EVENTS: Final = (
    f'id: 2-40\nevent: state\ndata: {{"job_id": "{_UUID}", "state": "running", '
    '"progress": {"stage": "swap", "percent": 40}}\n\n'
)
_CSV: Final = "row_no,key,user,amount,code,message\n3,,nobody,100,account_not_found,No such user\n"


def add_examples(result: Json, generator: Any, request: Any, public: bool) -> Json:  # noqa: FBT001  # drf-spectacular calls it so
    """Complete the document; a hook of drf-spectacular, after which it is served."""
    components = result.setdefault("components", {})
    schemas = components.get("schemas", {})
    problems = {error.code: error for error in catalogue()}
    shown: set[str] = set()
    for operation in operations(result):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            _add(media, _of(kind, media, schemas, is_request=True))
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            for kind, media in content.items():
                if kind == PROBLEM_TYPE:
                    codes = _codes(response, problems, status=int(status))
                    shown.update(codes)
                    _add_problems(media, codes)
                elif int(status) // 100 == _OK:
                    _add(media, _of(kind, media, schemas, is_request=False))
    components["examples"] = {
        code: {"value": _problem(problems[code])} for code in sorted(shown)
    } | components.get("examples", {})
    return result


def drop_blank_defaults(result: Json, generator: Any, request: Any, public: bool) -> Json:  # noqa: FBT001  # drf-spectacular calls it so
    """Leave out defaults that only mean “not given”: their own schemas do not allow them."""
    pending: list[Any] = [result]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            if node.get("default") == "" and {"minLength", "pattern", "format"} & node.keys():
                del node["default"]
    return result


def operations(document: Json) -> Iterator[Json]:
    """Every operation of a document."""
    for path in document["paths"].values():
        yield from (path[method] for method in METHODS if method in path)


def _add(media: Json, example: Any) -> None:
    if example is not None and not {"example", "examples"} & media.keys():
        media["example"] = example


def _add_problems(media: Json, codes: list[str]) -> None:
    if codes and not {"example", "examples"} & media.keys():
        media["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}


def _codes(response: Json, problems: Mapping[str, type[DomainError]], *, status: int) -> list[str]:
    """The codes that a response names, or the plainest one of its status."""
    named = [it for it in re.findall(r"`(\w+)`", response.get("description", "")) if it in problems]
    if named:
        return named
    of_status = [code for code, error in problems.items() if error.http_status == status]
    return of_status[:1]


def _problem(error: type[DomainError]) -> Json:
    return {
        "type": f"https://faces.example.com/errors/{error.code}",
        "title": str(error.title),
        "status": error.http_status,
        "code": error.code,
        "detail": str(error.next_step),
        "request_id": _UUID,
        "retryable": error.retryable,
        "charged_tokens": 0,
    }


def _of(kind: str, media: Json, schemas: Json, *, is_request: bool) -> Any:
    """An example of one content type; None for bytes, of which none can be shown."""
    if kind == EVENTS_TYPE:
        return _EVENTS
    if kind == CSV_TYPE and not is_request:
        return _CSV
    if kind != JSON_TYPE or "schema" not in media:
        return None
    return _value("", media["schema"], schemas, is_request=is_request)


def _value(name: str, schema: Json, schemas: Json, *, is_request: bool) -> Any:
    schema = _resolved(schema, schemas)
    if name in _VALUES and _allows(schema, _VALUES[name]):
        return _VALUES[name]
    if "enum" in schema or "const" in schema:
        return schema["enum"][0] if "enum" in schema else schema["const"]
    kind = next(it for it in _kinds(schema) if it != "null")
    if kind == "object":
        return _object(schema, schemas, is_request=is_request)
    if kind == "array":
        return [_value(name, schema["items"], schemas, is_request=is_request)]
    return _text(name, schema) if kind == "string" else _plain(schema, kind)


def _plain(schema: Json, kind: str) -> bool | float:
    if kind == "boolean":
        return bool(schema.get("default", False))
    value: float = max(schema.get("minimum", 0), schema.get("default") or 0)
    return value


def _kinds(schema: Json) -> list[str]:
    kinds = schema.get("type", "object")
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _object(schema: Json, schemas: Json, *, is_request: bool) -> Json:
    members = schema.get("properties", {})
    required = schema.get("required", [])
    names = [it for it in members if it in required] if is_request and required else list(members)
    return {it: _value(it, members[it], schemas, is_request=is_request) for it in names}


def _text(name: str, schema: Json) -> str:
    by_format = {"uuid": _UUID, "date-time": _MOMENT, "date": _MOMENT[:10], "uri": _ADDRESS}
    if schema.get("format") in by_format:
        return by_format[schema["format"]]
    return name.replace("_", " ") or "text"


def _resolved(schema: Json, schemas: Json) -> Json:
    """A schema without references, and with one of its choices that is not null."""
    while True:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        elif "allOf" in schema:
            parts = [_resolved(part, schemas) for part in schema["allOf"]]
            return {name: value for part in parts for name, value in part.items()}
        elif "oneOf" in schema or "anyOf" in schema:
            choices = schema.get("oneOf") or schema["anyOf"]
            schema = next(
                it for it in choices if it.get("type") != "null" and it.get("enum") != [None]
            )
        else:
            return schema


def _allows(schema: Json, value: Any) -> bool:
    """Whether a value of the table fits, as far as its kind, its choices and its least go."""
    kinds = _kinds(schema)
    if value is None:
        return "null" in kinds
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "format" in schema and schema["format"] not in {"int64", "uri", "password", "email"}:
        return False
    if isinstance(value, list):
        return "array" in kinds and all(_allows(schema["items"], it) for it in value)
    if isinstance(value, int):
        return bool({"integer", "number"} & {*kinds}) and value >= schema.get("minimum", value)
    return "string" in kinds
