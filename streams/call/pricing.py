"""What a call cost: the configuration's own prices first, then genai-prices' bundled table. Never the network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal

from genai_prices import Usage as PricedUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice
from genai_prices.types import Provider as PricedProvider

from connectors.providers.settings import ProviderSettings
from schemas.events.parts import Usage
from streams.config.settings import Price, Settings

MILLION = Decimal(1_000_000)

GENAI_ID: dict[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "cohere": "cohere",
    "gemini": "google",
    "mistral": "mistral",
}
"""The id in genai-prices of a kind that is one company's, also behind a proxy; of other kinds base_url says whose."""

TOKEN_KINDS = frozenset({"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"})
IGNORED_RATES = frozenset({"web_searches_kcount", "storage_searches_kcount", "cache_write_1h_mtok"})
"""What these price, our usage never counts."""

RATE_CACHE_SIZE = 4096
"""Of how many models we keep the rate: callers choose names freely."""

Rate = Callable[[Usage], Decimal | None]


class PriceBook:
    """The prices of every configured provider's models, looked up once each."""

    def __init__(self, settings: Settings) -> None:
        self._overrides = settings.prices
        self._providers = settings.providers
        self._rate = functools.lru_cache(maxsize=RATE_CACHE_SIZE)(self._find_rate)

    def price(self, provider: str, model: str, usage: Usage, answered_by: str = "") -> Decimal | None:
        """Price a call, in US dollars; None if its price or its usage is not known, which is not the same as free.

        Args:
            provider: by its name in the configuration.
            model: as the provider was asked for it.
            usage: what was counted.
            answered_by: the model by the answer's own word, which counts where the name that was asked for is unpriced.

        """
        if not usage.input_tokens and not usage.output_tokens:
            return None
        rate = self._rate(provider, model)
        return (self._rate(provider, answered_by) if rate is _unpriced and answered_by else rate)(usage)

    def _find_rate(self, provider: str, model: str) -> Rate:
        override = self._overrides.get(f"{provider}/{model}")
        if override is not None:
            return _override_rate(override)
        settings = self._providers.get(provider)
        if settings is None:
            return _unpriced
        seller, name = settings.price_key(model)
        publisher = _publisher(settings, seller)
        return _published_rate(publisher, name) if publisher is not None else _unpriced


def _publisher(settings: ProviderSettings, seller: str) -> PricedProvider | None:
    """Find whose prices a provider has: who it says sells, else by its kind, else by where it is, if anybody's."""
    genai_id = seller or GENAI_ID.get(settings.kind)
    if genai_id is None and settings.base_url is None:
        return None
    try:
        return get_snapshot().find_provider(None, genai_id, None if genai_id else settings.base_url)
    except LookupError:
        return None


def _unpriced(_: Usage) -> None:
    return None


def flat_rate(fresh: Decimal, read: Decimal, written: Decimal, output: Decimal) -> Rate:
    """Price by four rates per million tokens; input counts the cached tokens too, so they are taken out first."""

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
        return _unpriced
    rates = vars(found.prices) if isinstance(found.prices, ModelPrice) else {}
    known = {name: rate for name, rate in rates.items() if rate is not None and name not in IGNORED_RATES}
    flat = {name: rate for name, rate in known.items() if isinstance(rate, Decimal) and name in TOKEN_KINDS}
    if "input_mtok" not in flat or len(flat) < len(known):
        return tiered_rate(publisher, found)
    fresh = flat["input_mtok"]
    read, written = flat.get("cache_read_mtok", fresh), flat.get("cache_write_mtok", fresh)
    return flat_rate(fresh, read, written, flat.get("output_mtok", Decimal(0)))


def tiered_rate(publisher: PricedProvider, model: ModelInfo) -> Rate:
    """Leave tiers and prices that change with time to genai-prices itself, which takes ten times as long."""

    def rate(usage: Usage) -> Decimal | None:
        counts = PricedUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_input_tokens,
            cache_write_tokens=usage.cache_creation_input_tokens,
        )
        price = model.calc_price(counts, publisher)
        # a model that is priced by the hour or the page would seem to be free
        return None if price.model_price.input_mtok is None else price.total_price

    return rate
