"""The providers that the environment names, with the sentences that help to put them right."""

from __future__ import annotations

from parley_agent_worker.models.provider import Provider, with_version
from parley_agent_worker.settings import WorkerSettings

NAMES = ("local", "openai", "anthropic", "openrouter")
"""In the order in which `auto` tries them."""
_ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}


def configured(settings: WorkerSettings) -> dict[str, Provider]:
    """Return the providers that the owner has set up, by name, in the order of NAMES."""
    found: dict[str, Provider] = {}
    if settings.local_base_url:
        found["local"] = local(settings.local_base_url, settings.local_api_key.get_secret_value())
    for name, key in (
        ("openai", settings.openai_api_key),
        ("anthropic", settings.anthropic_api_key),
        ("openrouter", settings.openrouter_api_key),
    ):
        base_url = settings.openai_base_url if name == "openai" else None
        if base_url or key.get_secret_value():
            found[name] = _hosted(name, base_url, key.get_secret_value())
    return found


def local(base_url: str, api_key: str = "") -> Provider:
    """Return the provider `local` at an address."""
    return Provider(
        name="local",
        base_url=with_version(base_url),
        api_key=api_key,
        remedy="start it there, or correct LOCAL_BASE_URL and LOCAL_API_KEY.",
        takes_reasoning=True,
        takes_session=True,
    )


def _hosted(name: str, base_url: str | None, api_key: str) -> Provider:
    address = with_version(base_url) if base_url else _ADDRESSES[name]
    variables = f"{name.upper()}_API_KEY"
    if name == "openai":
        variables += " and OPENAI_BASE_URL"
    return Provider(
        name=name,
        base_url=address,
        api_key=api_key,
        remedy=f"check the network and {variables}.",
        takes_reasoning="deepseek" in address,
    )


def missing(name: str) -> str:
    """Return the sentence for a provider that is not set up."""
    if name == "local":
        return (
            "No model server was found on this machine; start llama-server, llama-swap or Ollama, "
            "or set LOCAL_BASE_URL to where one listens."
        )
    if name in NAMES:
        return f"The provider {name} is not set up; set {name.upper()}_API_KEY and start again."
    return f"There is no provider “{name}”; the known ones are {', '.join(NAMES)} and echo."


def unusable(provider: Provider, error: Exception) -> str:
    """Return the sentence for a provider to which no connection can even be tried."""
    return (
        f"{provider.base_url} cannot be asked ({error}); correct the address, or the proxy that "
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names."
    )
