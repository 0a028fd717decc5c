"""Prices of provider calls: from the configuration, then from genai-prices' bundled table. Never from the network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from decimal import Decimal

from genai_prices import Usage as PricedUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice
from genai_prices.types import Provider as PricedProvider

from connectors.providers.settings import ProviderSettings
from schemas.events.parts import Usage
from streams.config.settings import Price

MILLION = Decimal(1_000_000)

GENAI_ID: dict[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "cohere": "cohere",
    "gemini": "google",
    "mistral": "mistral",
}
"""Id in genai-prices of the provider kinds that belong to one company, also behind a proxy. The prices of other kinds
follow from their base_url."""

TOKEN_KINDS = frozenset({"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"})
IGNORED_RATES = frozenset({"web_searches_kcount", "storage_searches_kcount", "cache_write_1h_mtok"})
"""Rates of units that the recorded usage does not count."""

RATE_CACHE_SIZE = 4096
"""Models whose rate is cached; bounded because callers choose the names."""

Rate = Callable[[Usage], Decimal | None]


class PriceBook:
    """Prices of the configured providers' models, looked up once each.

    Args:
        overrides: configured prices by ``provider/model``.
        providers: settings by configured name.

    """

    def __init__(self, overrides: Mapping[str, Price], providers: Mapping[str, ProviderSettings]) -> None:
        self._overrides = overrides
        self._providers = providers
        self._rate = functools.lru_cache(maxsize=RATE_CACHE_SIZE)(self._find_rate)

    def price(self, provider: str, model: str, usage: Usage, response_model: str = "") -> Decimal | None:
        """Return the cost of a call in US dollars; None if its price or its usage is unknown, which is not free.

        Args:
            provider: its configured name.
            model: as sent to the provider.
            usage: tokens of the call.
            response_model: model named in the answer, whose price is used if ``model`` has none.

        """
        if not usage.input_tokens and not usage.output_tokens:
            return None
        rate = self._rate(provider, model)
        return (self._rate(provider, response_model) if rate is _no_price and response_model else rate)(usage)

    def _find_rate(self, provider: str, model: str) -> Rate:
        override = self._overrides.get(f"{provider}/{model}")
        if override is not None:
            return _override_rate(override)
        settings = self._providers.get(provider)
        if settings is None:
            return _no_price
        seller, name = settings.price_key(model)
        publisher = _publisher(settings, seller)
        return _published_rate(publisher, name) if publisher is not None else _no_price


def _publisher(settings: ProviderSettings, seller: str) -> PricedProvider | None:
    """Find the price list of a provider: by the seller that it names, by its kind, or by its base URL."""
    genai_id = seller or GENAI_ID.get(settings.kind)
    if genai_id is None and settings.base_url is None:
        return None
    try:
        return get_snapshot().find_provider(None, genai_id, None if genai_id else settings.base_url)
    except LookupError:
        return None


def _no_price(_: Usage) -> None:
    return None


def flat_rate(fresh: Decimal, read: Decimal, written: Decimal, output: Decimal) -> Rate:
    """Price by four rates per million tokens. Input tokens include the cached ones, which are subtracted first."""

    def rate(usage: Usage) -> Decimal:
        cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        total = fresh * max(usage.input_tokens - cached, 0) + output * usage.output_tokens
        if cached:
            total += read * usage.cache_read_input_tokens + written * usage.cache_creation_input_tokens
        return total / MILLION

    return rate


def _override_rate(price: Price) -> Rate:
    fresh = Decimal(str(price.input_mtok))
    read = fresh if price.cache_read_mtok is None else Decimal(str(price.cache_read_mtok))
    return flat_rate(fresh, read, fresh, Decimal(str(price.output_mtok)))


def _published_rate(publisher: PricedProvider, model: str) -> Rate:
    found = publisher.find_model(model.lower(), all_providers=get_snapshot().providers)
    if found is None:
        return _no_price
    rates = vars(found.prices) if isinstance(found.prices, ModelPrice) else {}
    known = {name: rate for name, rate in rates.items() if rate is not None and name not in IGNORED_RATES}
    flat = {name: rate for name, rate in known.items() if isinstance(rate, Decimal) and name in TOKEN_KINDS}
    if "input_mtok" not in flat or len(flat) < len(known):
        return tiered_rate(publisher, found)
    fresh = flat["input_mtok"]
    read, written = flat.get("cache_read_mtok", fresh), flat.get("cache_write_mtok", fresh)
    return flat_rate(fresh, read, written, flat.get("output_mtok", Decimal(0)))


def tiered_rate(publisher: PricedProvider, model: ModelInfo) -> Rate:
    """Price by genai-prices itself, ten times slower, where prices have tiers or change with time."""

    def rate(usage: Usage) -> Decimal | None:
        counts = PricedUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_input_tokens,
            cache_write_tokens=usage.cache_creation_input_tokens,
        )
        price = model.calc_price(counts, publisher)
        # a model that is priced by the hour or the page would otherwise seem to be free
        return None if price.model_price.input_mtok is None else price.total_price

    return rate
