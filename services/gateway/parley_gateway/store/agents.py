"""Commands on agents. Every revision is kept, because a turn answers by the one it began with."""

from __future__ import annotations

from typing import Any

from parley_contracts.agents import Agent, CreateAgent, UpdateAgent
from parley_contracts.errors import Conflict, Invalid, NotFound
from parley_contracts.events import AgentChanged
from sqlalchemy import bindparam, insert, or_, select, update

from parley_gateway.store.records import moment, reused
from parley_gateway.store.schema import OWNER, agent_revisions, agents
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

ECHO = "echo"
"""The handle of the agent that always exists, and the provider of its model."""
_IDENTITY = {"id", "revision", "created_at", "updated_at"}
_RESOLVE = Statement(
    select(agents.c.id).where(
        or_(agents.c.id == bindparam("reference"), agents.c.handle == bindparam("reference"))
    )
)
_LOCK = Statement(
    select(agents.c.json)
    .where(or_(agents.c.id == bindparam("reference"), agents.c.handle == bindparam("reference")))
    .with_for_update()
)
_BY_HANDLE = Statement(select(agents.c.id).where(agents.c.handle == bindparam("handle")))
_REVISION = Statement(
    select(agent_revisions.c.json).where(
        agent_revisions.c.agent_id == bindparam("agent_id"),
        agent_revisions.c.revision == bindparam("revision"),
    )
)
_CURRENT = Statement(select(agents.c.json, agents.c.revision).where(agents.c.id == bindparam("id")))
_DEFAULT = Statement(select(agents.c.id).order_by(agents.c.created_at, agents.c.id).limit(1))
_NAMES = Statement(select(agents.c.id, agents.c.name))
_ADD = Statement(insert(agents))
_ADD_REVISION = Statement(insert(agent_revisions))
_SAVE = Statement(
    update(agents).where(agents.c.id == bindparam("id")), "handle", "name", "revision", "json"
)


def resolve(tx: Transaction, reference: str) -> str:
    """Return the id of the agent with this id or handle; raises NotFound."""
    row = tx.one(_RESOLVE, reference=reference)
    if row is None:
        raise NotFound(
            f"There is no agent {reference}; look at the list of agents.", field="agent_id"
        )
    agent_id: str = row[0]
    return agent_id


def resolve_any(tx: Transaction, *references: str | None) -> str | None:
    """Return the id of the first agent found by these ids and handles, None when none is given.

    Raises NotFound when some are given and none is found.
    """
    given = [each for each in references if each]
    for each in given:
        if row := tx.one(_RESOLVE, reference=each):
            return str(row[0])
    return resolve(tx, given[0]) if given else None


def default(tx: Transaction) -> str:
    """Return the id of the agent that answers where nobody was chosen: the first one made."""
    row = tx.one(_DEFAULT)
    if row is None:
        raise NotFound("There is no agent yet; make one first.", field="agent_id")
    agent_id: str = row[0]
    return agent_id


def names(tx: Transaction) -> dict[str, str]:
    """Return the agents' names by id."""
    return dict(tx.all(_NAMES))


def at_revision(tx: Transaction, id: str, revision: int | None) -> tuple[str, int]:
    """Return an agent's JSON and revision: the current one when none is given."""
    if revision is None:
        row = tx.one(_CURRENT, id=id)
    else:
        row = tx.one(_REVISION, agent_id=id, revision=revision)
        row = row and (row[0], revision)
    if row is None:
        raise NotFound(f"There is no agent {id}; look at the list of agents.")
    return row[0], row[1]


def create(tx: Transaction, command: CreateAgent) -> Agent:
    """Make an agent; the same command again returns what it made."""
    if existing := tx.one(_REVISION, agent_id=command.id, revision=1):
        return _repeated(tx, command, Agent.model_validate_json(existing[0]))
    _require_free(tx, command.id, command.handle)
    if tx.one(_RESOLVE, reference=command.id):
        raise Conflict(
            f"This id is the handle of another agent, @{command.id}; choose another id.",
            kind="id-taken",
            field="id",
        )
    now = moment(tx.now)
    agent = Agent(**vars(command), revision=1, created_at=now, updated_at=now)
    tx.run(
        _ADD,
        id=agent.id,
        owner_id=OWNER,
        handle=agent.handle,
        name=agent.name,
        revision=1,
        created_at=tx.now,
        json=agent.encode().decode(),
    )
    return _keep(tx, agent)


def change(tx: Transaction, command: UpdateAgent) -> Agent:
    """Change an agent, if its revision is still the one that the change is based on."""
    row = tx.one(_LOCK, reference=command.id)
    if row is None:
        raise NotFound(f"There is no agent {command.id}; look at the list of agents.")
    agent = Agent.model_validate_json(row[0])
    changes: dict[str, Any] = {
        name: value
        for name in command.model_fields_set - _IDENTITY
        if (value := getattr(command, name)) is not None
    }
    if agent.revision != command.revision:
        raise Conflict(
            f"The agent was changed meanwhile: revision {agent.revision}, not {command.revision}. "
            "Look at it again and repeat the change.",
            kind="stale-revision",
            field="revision",
        )
    if agent.handle == ECHO:
        _require_echo(agent.model_copy(update=changes))
    if changes.get("handle", agent.handle) != agent.handle:
        _require_free(tx, agent.id, changes["handle"])
    new = {"revision": agent.revision + 1, "updated_at": moment(tx.now)}
    agent = agent.model_copy(update={**changes, **new})
    tx.run(
        _SAVE,
        id=agent.id,
        handle=agent.handle,
        name=agent.name,
        revision=agent.revision,
        json=agent.encode().decode(),
    )
    return _keep(tx, agent)


def ensure_any(tx: Transaction, command: CreateAgent) -> None:
    """Make the first agent, unless there is one."""
    if tx.one(_DEFAULT) is None:
        create(tx, command)


def ensure(tx: Transaction, command: CreateAgent) -> None:
    """Make an agent that must exist, unless its handle is taken."""
    if tx.one(_BY_HANDLE, handle=command.handle) is None:
        create(tx, command)


def _repeated(tx: Transaction, command: CreateAgent, first: Agent) -> Agent:
    if first.model_dump(exclude=_IDENTITY) != command.model_dump(exclude=_IDENTITY):
        raise reused("agent")
    return Agent.model_validate_json(at_revision(tx, first.id, None)[0])


def _require_free(tx: Transaction, id: str, handle: str) -> None:
    """Refuse a handle by which another agent is found: its own, or its id."""
    if any(found != id for (found,) in tx.all(_RESOLVE, reference=handle)):
        raise Conflict(
            f"There is an agent @{handle} already, or one of this id; choose another handle.",
            kind="handle-taken",
            field="handle",
        )


def _require_echo(agent: Agent) -> None:
    """Refuse what would leave no agent that answers without any model."""
    if agent.handle != ECHO:
        raise Invalid(
            "The agent @echo keeps its handle, so that there is always one to try Parley with;"
            " make another agent.",
            field="handle",
        )
    if not agent.model.startswith(f"{ECHO}:"):
        raise Invalid(
            "The agent @echo answers by the echo model only, so that there is always one that"
            " answers; make another agent for another model.",
            field="model",
        )


def _keep(tx: Transaction, agent: Agent) -> Agent:
    tx.run(
        _ADD_REVISION,
        agent_id=agent.id,
        revision=agent.revision,
        json=agent.encode().decode(),
    )
    tx.emit(AgentChanged(agent=agent))
    return agent
