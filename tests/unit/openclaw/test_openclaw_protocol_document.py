"""The protocol's document and schema say what the registry does."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from openclaw.protocol.document import protocol_markdown, protocol_schema
from openclaw.protocol.methods.table import method_table

TABLE = method_table()


@pytest.fixture(scope="module")
def schema():
    text = json.loads(protocol_schema(TABLE))
    Draft202012Validator.check_schema(text)
    return Draft202012Validator(text)


def test_every_method_is_in_both():
    document, titles = (
        protocol_markdown(TABLE),
        {entry["title"] for entry in json.loads(protocol_schema(TABLE))["oneOf"]},
    )
    for name in TABLE:
        assert f"`{name}`" in document
        assert name in titles


@pytest.mark.parametrize(
    ("method", "params", "valid"),
    [
        ("chat.send", {"sessionKey": "main", "message": "hi", "idempotencyKey": "k"}, True),
        ("chat.send", {"sessionKey": "main", "message": "hi"}, False),
        ("sessions.list", {"limit": 5}, True),
        ("sessions.list", {"bogus": 1}, False),
        ("health", {"anything": "goes"}, True),
        ("no.such.method", {}, False),
    ],
)
def test_the_schema_takes_what_the_registry_takes(schema, method, params, valid):
    assert schema.is_valid({"type": "req", "id": "1", "method": method, "params": params}) is valid
