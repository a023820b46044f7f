"""What calls cost, by the price list of `genai-prices`."""

from __future__ import annotations

from typing import Any

from genai_prices import Usage, calc_price

__all__ = ["price"]


def price(model: str, usage: Any | None = None, *, input_tokens: int = 0, output_tokens: int = 0) -> float | None:
    """US dollars for a call, or None where the price isn't known.

    Args:
        model: Its name as configured: `provider:model`.
        usage: What the provider counted; None: the tokens given.
        input_tokens, output_tokens: Tokens in and out.
    """
    provider, colon, name = model.partition(":")
    if not colon:
        return None
    counted = usage or Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    try:
        found = calc_price(counted, name, provider_id=_PROVIDERS.get(provider, provider))
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


_PROVIDERS = {"openai-chat": "openai", "openai-responses": "openai", "google-cloud": "google"}
"""Names of providers that stand under another name in the price list."""
