"""Parsers of recharge files: encodings, aliases, faults by row, bad files. No database."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile

import openpyxl
import pytest

from tokens import json_arrays
from tokens.errors import FileTooLargeError, UnreadableFileError
from tokens.models import RechargeLine
from tokens.recharge_files import COLUMNS_MAX, LINE_BYTES_MAX, RowRules, read_rows
from tokens.recharge_report import failures_csv, safe_cell
from tokens.recharge_rows import StagedRow
from tokens.types import RechargeSource

TEMPLATE = StagedRow("", 0, "", "PAID", 50, None, None)


def parse(
    content: bytes, source=RechargeSource.CSV, *, amount: int | None = None, **limits
) -> list[StagedRow]:
    rules = RowRules(
        template=TEMPLATE,
        amount=amount,
        cell_length_max=limits.get("cell_length_max", 100),
        bytes_max=limits.get("bytes_max", 1 << 20),
    )
    return list(read_rows(io.BytesIO(content), source=source, rules=rules))


def csv_rows(text: str, *, encoding: str = "utf-8", **more) -> list[StagedRow]:
    return parse(text.encode(encoding), **more)


def workbook(*rows) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.create_sheet(index=0)
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_delimiters_and_chinese_headers(encoding, delimiter):
    text = "用户,数量,类别,优先级,备注\nalice,5,promo,10,六月活动\n\nbob,7,,,\n"
    rows = csv_rows(text.replace(",", delimiter), encoding=encoding)
    assert [(row.user_ref, row.amount, row.category, row.priority) for row in rows] == [
        ("alice", 5, "PROMO", 10),
        ("bob", 7, "PAID", 50),
    ]
    assert all(row.fault == "" for row in rows)


@pytest.mark.parametrize("header", ["User Ref,Tokens", "USER-ID , AMOUNT", "account,credits"])
def test_headers_have_aliases(header):
    assert csv_rows(f"{header}\nalice,5\n")[0][:2] == ("alice", 5)


def test_times_are_iso_and_utc_without_a_zone():
    rows = csv_rows(
        "user,amount,effective_at,expires_at\n"
        "a,1,2026-12-01,2026-12-31T23:59:59+08:00\n"
        "b,1,,31.12.2026\n"
        "c,1,,0001-01-01T00:00:00+14:00\n"
    )
    assert rows[0].effective_at == "2026-12-01T00:00:00+00:00"
    assert rows[0].expires_at == "2026-12-31T15:59:59+00:00"
    assert [row.fault for row in rows] == ["", "time_invalid", "time_invalid"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",5,,,", "user_missing"),
        ("a,,,,", "amount_scale_invalid"),
        ("a,1.5,,,", "amount_scale_invalid"),
        ("a,1e3,,,", "amount_scale_invalid"),
        ("a,five,,,", "amount_scale_invalid"),
        ('a,"1,000",,,', "amount_scale_invalid"),
        (f"a,{10**19},,,", "amount_out_of_range"),
        (f"a,1,{'k' * 65},,", "key_invalid"),
        ("a,1,,gold,", "category_unknown"),
        ("a,1,,,101", "priority_invalid"),
        ("a,1,,,high", "priority_invalid"),
        ("=cmd|'/c calc'!A0,1,,,", "formula_refused"),
        ("a,=1+1,,,", "formula_refused"),
        ("a,1,@SUM(A1),,", "formula_refused"),
        ("a,1,-k,,", "formula_refused"),
        (f"a,1,{'k' * 101},,", "cell_too_long"),
        ("a,1,,,,surplus", "row_unreadable"),
    ],
)
def test_a_bad_row_is_an_outcome_with_its_cells_and_the_others_go_on(line, fault):
    rows = csv_rows(f"user,amount,key,category,priority\ngood,1,,,\n{line}\nlast,-2,,,\n")
    assert [row.fault for row in rows] == ["", fault, ""]
    assert rows[1].original is not None
    assert rows[1].amount == 0
    assert (rows[2].user_ref, rows[2].amount) == ("last", -2)


def test_an_amount_of_the_request_fills_empty_cells_only():
    rows = csv_rows("user,amount\na,\nb,3\n", amount=9)
    assert [row.amount for row in rows] == [9, 3]
    assert csv_rows("user\na\n", amount=9)[0].amount == 9


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"name,amount\na,1\n",
        b"user,user_ref\na,b\n",
        "user,amount\na,1\n".encode("utf-16"),
        b"user,amount\n\xff\xff\xff,1\n",
        b"user,amount\n" + b'"' + b"x" * 200_000 + b'",1\n',
    ],
)
def test_bad_csv_files_are_refused_as_a_whole(content):
    with pytest.raises(UnreadableFileError):
        parse(content)


def test_too_many_columns_are_refused():
    header = ",".join(["user", *[f"c{number}" for number in range(COLUMNS_MAX)]])
    with pytest.raises(FileTooLargeError):
        csv_rows(f"{header}\n")


def test_a_workbook_with_types_of_its_own():
    rows = parse(
        workbook(
            ["user", "amount", "expires_at", "key"],
            ["alice", 5, dt.datetime(2026, 12, 31, 12), "k"],  # noqa: DTZ001  # workbooks have no zones
            [12345, 5.0, dt.date(2026, 12, 31), None],
            [None, None, None, None],
            ["bob", 5.5, None, None],
            ["eve", True, None, None],
            ["mallory", "=1+1", None, None],
        ),
        RechargeSource.XLSX,
    )
    assert [(row.user_ref, row.amount, row.fault) for row in rows] == [
        ("alice", 5, ""),
        ("12345", 5, ""),
        ("bob", 0, "amount_scale_invalid"),
        ("eve", 0, "amount_scale_invalid"),
        ("mallory", 0, "formula_refused"),
    ]
    assert rows[0].expires_at == "2026-12-31T12:00:00+00:00"
    assert rows[1].expires_at == "2026-12-31T00:00:00+00:00"


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", zipped("a.txt", b"no workbook")])
def test_bad_workbooks_are_refused(content):
    with pytest.raises(UnreadableFileError):
        parse(content, RechargeSource.XLSX)


def test_a_truncated_workbook_is_refused():
    with pytest.raises(UnreadableFileError):
        parse(workbook(["user"], ["a"])[:-100], RechargeSource.XLSX)


def test_a_workbook_that_unpacks_too_large_is_refused():
    with pytest.raises(FileTooLargeError):
        parse(zipped("x", b"0" * 1_000_000), RechargeSource.XLSX, bytes_max=1_000)


def test_an_xml_bomb_in_a_workbook_is_refused():
    book = workbook(["user"], ["a"])
    bomb = (
        b'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            is_sheet = entry.filename == "xl/worksheets/sheet1.xml"
            new.writestr(entry.filename, bomb if is_sheet else old.read(entry))
    with pytest.raises(UnreadableFileError):
        parse(buffer.getvalue(), RechargeSource.XLSX)


def test_ndjson_faults_by_line():
    lines = [
        json.dumps({"user": "alice", "amount": 5, "key": "k", "category": "plan", "priority": 3}),
        "",
        "not json",
        "[1]",
        json.dumps({"user": "bob", "amount": 5.0}),
        json.dumps({"user": "bob", "amount": "5"}),
        json.dumps({"user": "bob", "amount": True}),
        json.dumps({"user": "bob", "amount": {"x": 1}}),
        json.dumps({"user": "bob", "amount": 1, "note": "=1+1"}),
        '{"user": "' + "x" * LINE_BYTES_MAX + '"}',
        "[" * 5_000,
        json.dumps({"user": "ünï\x00", "amount": 1}),
    ]
    content = "\n".join(lines).encode() + b"\n\xff\xfe\n" + b'{"user": "last", "amount": 1}'
    rows = parse(content, RechargeSource.NDJSON)
    assert [row.fault for row in rows] == [
        "",
        "row_unreadable",
        "row_unreadable",
        "amount_scale_invalid",
        "",
        "amount_scale_invalid",
        "row_unreadable",
        "formula_refused",
        "row_unreadable",
        "row_unreadable",
        "",
        "row_unreadable",
        "",
    ]
    assert rows[0][:5] == ("alice", 5, "k", "PLAN", 3)
    assert "\x00" not in rows[10].user_ref
    assert rows[-1].user_ref == "last"


def test_json_rows_keep_their_types_and_their_faults():
    values = [
        {"user": "alice", "amount": 5, "key": "k", "category": "plan"},
        "not a row",
        {"用户": "bob", "数量": "6"},
        {"user": "bob", "amount": 5.0},
        {"user": "bob", "amount": [1]},
    ]
    for content in (
        json.dumps(values).encode(),
        b"\xef\xbb\xbf\n" + json.dumps(values, ensure_ascii=False, indent=3).encode() + b"\n",
    ):
        rows = parse(content, RechargeSource.JSON)
        assert [row.fault for row in rows] == [
            "",
            "row_unreadable",
            "",
            "amount_scale_invalid",
            "row_unreadable",
        ]
        assert rows[0][:4] == ("alice", 5, "k", "PLAN")
        assert rows[2][:2] == ("bob", 6)
    assert parse(b" [] ", RechargeSource.JSON) == []


def test_a_long_json_array_is_read_in_blocks_that_cut_anywhere(monkeypatch):
    values = [{"user": f"ü-{number}", "amount": number} for number in range(300)]
    for block_bytes in (1, 7, 1_000):
        monkeypatch.setattr(json_arrays, "BLOCK_BYTES", block_bytes)
        rows = parse(json.dumps(values, ensure_ascii=False).encode(), RechargeSource.JSON)
        assert [(row.user_ref, row.amount) for row in rows] == [
            (value["user"], value["amount"]) for value in values
        ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"user": "a"}',
        b'[{"user": "a"}',
        b'[{"user": "a"},]',
        b'[{"user": "a"}] x',
        b'[{"user": "a"} {"user": "b"}]',
        b"[\xff]",
        b"[" * 200_000,
        b'[{"user": "' + b"x" * LINE_BYTES_MAX + b'"}]',
    ],
)
def test_what_is_not_one_json_array_is_refused(content):
    with pytest.raises(UnreadableFileError):
        parse(content, RechargeSource.JSON)


def test_rows_can_be_read_again():
    rules = RowRules(template=TEMPLATE, amount=1, cell_length_max=9, bytes_max=1 << 20)
    for content, source in (
        (b"user\na\n", RechargeSource.CSV),
        (workbook(["user"], ["a"]), RechargeSource.XLSX),
        (b'{"user": "a"}\n', RechargeSource.NDJSON),
        (b'[{"user": "a"}]', RechargeSource.JSON),
    ):
        file = io.BytesIO(content)
        first = list(read_rows(file, source=source, rules=rules))
        assert first == list(read_rows(file, source=source, rules=rules))
        assert [row.user_ref for row in first] == ["a"]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1", "'=1"), ("@x", "'@x"), ("+a", "'+a"), ("-7", "-7"), ("a", "a"), ("\tx", "'\tx")],
)
def test_cells_of_reports_are_safe(cell, safe):
    assert safe_cell(cell) == safe


def test_a_report_can_be_corrected_and_sent_again():
    lines = [
        RechargeLine(
            row_no=2,
            user_ref="nobody",
            amount=-7,
            item_key="k",
            category="PROMO",
            priority=9,
            outcome="account_not_found",
        ),
        RechargeLine(
            row_no=3,
            user_ref="eve",
            amount=0,
            category="PAID",
            priority=50,
            outcome="formula_refused",
            original={"user": "eve", "amount": "=1+1"},
        ),
    ]
    text = "".join(failures_csv(lines))
    assert "account_not_found,No active user has this reference" in text
    rows = csv_rows(text)
    assert (rows[0].user_ref, rows[0].amount, rows[0].key) == ("nobody", -7, "k")
    assert (rows[0].category, rows[0].priority) == ("PROMO", 9)
    assert (rows[1].user_ref, rows[1].fault) == ("eve", "amount_scale_invalid")
