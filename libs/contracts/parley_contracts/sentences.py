"""What pydantic finds wrong with a message, in a sentence for whoever wrote it.

The one place where a finding becomes words, for the HTTP API, the bus and the settings alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from parley_contracts.agents import A_MODEL, HANDLE, MODEL_NAME
from parley_contracts.base import ID
from parley_contracts.errors import Invalid

_PATTERNS = {
    ID: "may hold letters, digits, “_” and “-” only, 1 to 64 of them",
    HANDLE: "may hold a-z, 0-9, “_” and “-” only, 1 to 32 of them, and begins with a letter or"
    " a digit",
    A_MODEL: "must be a provider and a model, such as “openai:gpt-5”",
    MODEL_NAME: "must be “auto”, or a provider and a model, such as “openai:gpt-5”",
}
_A_MOMENT = "must be a moment with its time zone, such as 2026-01-31T12:00:00Z"
_A_DAY = "must be a day, such as 2026-01-31"
_A_NUMBER = "must be a whole number"
_A_LIST = "must be a list"
_AN_OBJECT = "must be an object"
_SENTENCES = {
    "missing": "is missing; add it and send again",
    "string_too_long": "is too long: at most {max_length:,} characters",
    "string_too_short": "is empty; write something and send again",
    "too_long": "has too many entries: at most {max_length:,}",
    "too_short": "has too few entries: at least {min_length:,}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "has a “{discriminator}” that is not known",
    "union_tag_not_found": "lacks its “{discriminator}”",
    "string_unicode": "holds half of a character; take it out and send again",
    "value_error": "cannot be taken: {error}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _A_NUMBER,
    "int_parsing": _A_NUMBER,
    "int_from_float": _A_NUMBER,
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is finite",
    "tuple_type": _A_LIST,
    "list_type": _A_LIST,
    "dict_type": _AN_OBJECT,
    "model_type": _AN_OBJECT,
    "model_attributes_type": _AN_OBJECT,
    "json_invalid": "is not JSON",
    "timezone_aware": _A_MOMENT,
    "datetime_type": _A_MOMENT,
    "datetime_parsing": _A_MOMENT,
    "datetime_from_date_parsing": _A_MOMENT,
    "datetime_object_invalid": _A_MOMENT,
    "date_type": _A_DAY,
    "date_parsing": _A_DAY,
    "date_from_datetime_parsing": _A_DAY,
}


def invalid(error: ValidationError, *, within: str = "") -> Invalid:
    """Return the first finding of a validation as a refusal; the field is named from `within`."""
    first = error.errors(include_url=False, include_input=False)[0]
    return refused(first, (within, *first["loc"]) if within else first["loc"])


def refused(finding: Mapping[str, Any], place: tuple[int | str, ...]) -> Invalid:
    """Return a finding as a refusal of the field at this place."""
    field = ".".join(map(str, place))
    words = what_is_wrong(finding)
    named = f"“{field}” {words}" if field else f"The body {words}"
    return Invalid(f"{named}.", field=field or None)


def what_is_wrong(finding: Mapping[str, Any]) -> str:
    """Return what follows the field's name in a sentence about the finding."""
    kind, limits = finding["type"], finding.get("ctx", {})
    if kind == "string_pattern_mismatch":
        unknown = "holds characters, or a length, that are not allowed there"
        return _PATTERNS.get(limits["pattern"], unknown)
    if limits.get("field_type") == "Value":  # so it is called behind a validator; always text here
        kind = f"string_{kind}"
    return _SENTENCES.get(kind, "is not valid there").format(**limits)
