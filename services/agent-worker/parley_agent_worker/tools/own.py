"""The owner's own tools: every `Tool` in the Python files that PARLEY_TOOLS names.

They are the owner's code and may do whatever a worker may.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from parley_contracts.errors import Invalid

from parley_agent_worker.tools.tool import Tool


def own_tools(files: Iterable[Path]) -> list[Tool]:
    """Return the tools of all files. Raises Invalid when a file cannot be run or holds none."""
    return [found for file in files for found in _tools(file)]


def _tools(file: Path) -> list[Tool]:
    module = _module(file)
    tools = [each for each in module.values() if isinstance(each, Tool)]
    if not tools:
        raise Invalid(f"PARLEY_TOOLS names {file}, which holds no tool; make one with `tool(…)`.")
    return tools


def _module(file: Path) -> dict[str, object]:
    """Run a file as a module of its own and return its names."""
    spec = spec_from_file_location(f"own_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise Invalid(f"PARLEY_TOOLS names {file}, which is no Python file.")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise Invalid(f"PARLEY_TOOLS names {file}, which cannot be run ({reason}).") from error
    return vars(module)
