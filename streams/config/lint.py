"""Warnings about a valid configuration that probably does something else than its author intends."""

from __future__ import annotations

from collections.abc import Iterator

from streams.config.settings import Model, Settings


def find_warnings(settings: Settings) -> list[str]:
    """Return one sentence per warning."""
    return [
        *(warning for name, model in settings.models.items() for warning in _simulated_fallback(name, model, settings)),
        *_signing_key_on_one_machine(settings),
    ]


def _signing_key_on_one_machine(settings: Settings) -> Iterator[str]:
    """The ingress and the filter may run on several machines only with a Kafka that is not embedded."""
    if settings.keys and settings.kafka.bootstrap_servers and not settings.kafka.signing_keys:
        yield (
            "kafka.signing_keys: not set, so the ingress and the filter must share the state directory;"
            " if they run on several machines or in several containers, set it"
        )


def _simulated_fallback(name: str, model: Model, settings: Settings) -> Iterator[str]:
    """A failing real target, such as one with a wrong key, would be answered by the simulator with status 200."""
    is_simulated = [settings.providers[target.provider].kind == "simulated" for target in model.targets]
    if not any(is_simulated) or all(is_simulated):
        return
    first_real = is_simulated.index(False) if model.policy == "ordered" else 0
    fallbacks = [
        target.target
        for target, simulated in list(zip(model.targets, is_simulated, strict=True))[first_real:]
        if simulated
    ]
    if fallbacks:
        yield (
            f"models.{name}: {', '.join(fallbacks)} is simulated and is a fallback of a real target:"
            " if the real one fails, callers get a generated answer; remove it, or name a second real target"
        )
