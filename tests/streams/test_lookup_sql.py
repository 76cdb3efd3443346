"""LOOKUP_SQL: `:ids` is replaced and nothing else, and a payload keeps its digits."""

import pytest

from streams.contract import PostId
from streams.enrichment import BadRow, Found
from streams.lookup_sql import WrongStatement, check_shape, compact, found_rows, translate

IDS = "($1::bigint[])"
INTEGER = "bigint, integer or smallint"


@pytest.mark.parametrize(
    "before",
    [
        "'it''s :ids'",
        "E'it\\'s :ids'",
        "e'\\\\\\':ids'",
        "E'one'\n  '\\':ids'",
        "U&'d\\0061t :ids'",
        '"a "" :ids"',
        "$$ :ids $$",
        "$body$ :ids $$ :ids $other$ :ids $body$",
        "-- it's :ids\n",
        "/* :ids /* :ids */ :ids */",
        "x::ids",
        "a[1:ids]",
        "a[lo:ids]",
        "(a)[(b):ids]",
        'a["lo":ids]',
        "f(x := 1)",
        ":idx, :ids2, :ids_, :id",
        "'E' || '\\' || '' || 'ids'",
        "price$ || ':ids'",
    ],
)
def test_nothing_but_the_parameter_is_replaced(before: str) -> None:
    assert translate(f"SELECT {before}, :ids") == f"SELECT {before}, {IDS}"


@pytest.mark.parametrize(
    ("sql", "translated"),
    [
        ("= ANY(:ids)", f"= ANY({IDS})"),
        ("unnest(:ids::bigint[])", f"unnest({IDS}::bigint[])"),
        ("(:ids)[1]", f"({IDS})[1]"),
        ("x IN (SELECT unnest(:ids)) OR y = ANY(:ids);", f"x IN (SELECT unnest({IDS})) OR y = ANY({IDS});"),
        ("foo$bar$ :ids $bar$", f"foo$bar$ {IDS} $bar$"),
        ("namE'x' || :ids", f"namE'x' || {IDS}"),
        (":ids -- the end", f"{IDS} -- the end"),
        (":ids /* no end", f"{IDS} /* no end"),
    ],
)
def test_the_parameter_is_replaced_wherever_it_stands(sql: str, translated: str) -> None:
    assert translate(sql) == translated


@pytest.mark.parametrize("sql", ["", "SELECT 1", "SELECT ':ids'", "-- :ids", "/* :ids"])
def test_a_statement_without_the_parameter_is_refused(sql: str) -> None:
    with pytest.raises(WrongStatement, match=r"^it does not contain :ids$"):
        translate(sql)


def test_a_statement_may_name_an_author_or_not() -> None:
    check_shape(1, [("id", "int8"), ("payload", "json")])
    check_shape(1, [("author", "int2"), ("payload", "jsonb"), ("id", "int4")])


@pytest.mark.parametrize(
    ("parameters", "columns", "sentence"),
    [
        (1, [], "it returns nothing: it must be one SELECT"),
        (2, [("id", "int8"), ("payload", "json")], "it has parameters of its own: only :ids is given"),
        (1, [("id", "int8")], "it returns no column payload"),
        (1, [("payload", "json")], "it returns no column id"),
        (1, [("id", "int8"), ("id", "int8"), ("payload", "json")], "it returns two columns id"),
        (
            1,
            [("id", "int8"), ("payload", "json"), ("?column?", "text")],
            "it returns a column ?column?, and only id, payload and author are read",
        ),
        (
            1,
            [("id", "uuid"), ("payload", "text")],
            f"its column id is uuid, and must be {INTEGER}; its column payload is text, and must be json or jsonb",
        ),
        (
            1,
            [("id", "int8"), ("payload", "json"), ("author", "text")],
            f"its column author is text, and must be {INTEGER}",
        ),
        (1, [("id", "int8"), ("payload", "int8")], "its column payload is bigint, and must be json or jsonb"),
    ],
)
def test_what_is_wrong_with_the_columns_is_named(
    parameters: int, columns: list[tuple[str, str]], sentence: str
) -> None:
    with pytest.raises(WrongStatement) as refused:
        check_shape(parameters, columns)
    assert str(refused.value) == sentence


def test_of_two_rows_the_first_is_taken_and_a_null_is_missing() -> None:
    one, two, three = PostId(1), PostId(2), PostId(3)
    rows = [(one, '{"n": 1}', 7), (one, '{"n": 2}', 8), (two, None, 7), (two, "2", 7), (three, "3", None)]
    assert found_rows(rows) == {one: Found(b'{"n":1}', 7), three: Found(b"3", None)}


@pytest.mark.parametrize(
    ("payload", "compacted"),
    [
        (
            '{"a": 1.10, "b": 9007199254740993, "c": [1e400, -0.0, 1E5 ]}',
            b'{"a":1.10,"b":9007199254740993,"c":[1e400,-0.0,1E5]}',
        ),
        ('{\n  "a" : " \\n é "\n}', '{"a":" \\n é "}'.encode()),
        ('{"a": 1, "a": 2}', b'{"a":1,"a":2}'),
        (" null ", b"null"),
    ],
)
def test_a_payload_loses_its_spaces_and_nothing_else(payload: str, compacted: bytes) -> None:
    assert compact(payload) == compacted


@pytest.mark.parametrize("payload", ['"\\ud800"', "[" * 10_000 + "]" * 10_000, "nul"])
def test_a_payload_that_clients_could_not_read_is_a_bad_row(payload: str) -> None:
    with pytest.raises(BadRow, match="the payload cannot be read"):
        compact(payload)
