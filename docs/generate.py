"""Write what is made from the contracts: docs/asyncapi.yaml and docs/schemas.json."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from parley_contracts import asyncapi

HERE = Path(__file__).parent


def rendered() -> dict[Path, str]:
    """Return each generated file's path with the text it should hold."""
    described = yaml.safe_dump(asyncapi.document(), sort_keys=False, allow_unicode=True, width=100)
    schemas = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": asyncapi.schemas()},
    }
    return {
        HERE / "asyncapi.yaml": described,
        HERE / "schemas.json": json.dumps(schemas, indent=2, ensure_ascii=False) + "\n",
    }


if __name__ == "__main__":
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")
