"""Key → line for any TOML that tomllib takes; setting a key keeps all else."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conf_docs import toml_value
from gateway.conf_edit import set_key
from gateway.conf_index import Index

TEXT = '''\
# one
a = 1
[x.y]
b = [ # two
  1, "three] # not a comment", # four
  { c = 1, d = [1979-05-27 07:32:00, 2] },
]
s = """
[not.a.table]
z = \\"""1
"""
[[p]]
"q.r" = 'x # y'
[[p]]
n.m = 1
[p.sub]
k = 2
[[p.arr]]
z = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 2),
        (("x", "y"), 3),
        (("x", "y", "b"), 4),
        (("x", "y", "b", 1), 5),
        (("x", "y", "b", 2, "d", 1), 6),
        (("x", "y", "s"), 8),
        (("p", 0), 12),
        (("p", 0, "q.r"), 13),
        (("p", 1, "n", "m"), 15),
        (("p", 1, "sub", "k"), 17),
        (("p", 1, "arr", 0, "z"), 19),
        (("p", 1, "arr", 0, "missing"), 18),
        (("nowhere",), 1),
    ],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(TEXT)
    assert Index.of(TEXT).line(path) == line
    assert Index.of(TEXT.replace("\n", "\r\n")).line(path) == line


SCALARS = st.one_of(st.text(max_size=12), st.integers(-(2**40), 2**40), st.booleans())
KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4), st.data())
def test_every_key_of_a_written_file_is_found_on_its_line(tables: dict[str, dict[str, Any]], data: st.DataObject) -> None:
    lines: list[str] = []
    expected = {}
    for table, values in tables.items():
        lines += [data.draw(st.sampled_from(["", "# [no.table]", "  "])), f"[{table}]"]
        expected[table,] = len(lines)
        for key, value in values.items():
            lines.append(f"{key} = {_written(value)} # a = 1")
            expected[table, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    index = Index.of(text)
    assert {path: index.line(path) for path in expected} == expected


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() else f"\\U{ord(c):08X}" for c in value) + '"'
    return toml_value(value)


CONF = '[a]\n# the port\n#port = 25\nhost = "x" # kept?\n\n[b]\n#port = 26\n'


def test_a_commented_key_is_set_in_its_own_table() -> None:
    assert set_key(CONF, ("b", "port"), 2600) == CONF.replace("#port = 26", "port = 2600")
    assert set_key(CONF, ("a", "port"), 2500) == CONF.replace("#port = 25", "port = 2500")


def test_a_set_key_is_replaced_and_a_new_one_added() -> None:
    assert 'host = "y"\n' in set_key(CONF, ("a", "host"), "y")
    assert set_key(CONF, ("b", "name"), "值班").startswith(CONF.partition("[b]")[0] + '[b]\nname = "值班"\n')


def test_an_absent_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        set_key(CONF, ("c", "port"), 1)
