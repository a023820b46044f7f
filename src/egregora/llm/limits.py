"""What an invocation may still spend. Whatever is on its way counts with the worst that it can cost."""

from __future__ import annotations

import asyncio

from egregora.amounts import dollars
from egregora.errors import BudgetError, ConfigError

__all__ = ["Limits"]


class Limits:
    """Calls and dollars of one invocation, and how many there may be. Used on one event loop only.

    Attributes:
        calls: Attempts made.
        spent_usd: What they cost; what isn't known counts with the worst that it could be.
        unpriced: Whether the price of one isn't known.
    """

    def __init__(self, budget_usd: float | None, max_calls: int | None) -> None:
        self.budget_usd = budget_usd
        self.max_calls = max_calls
        self.calls = 0
        self.spent_usd = 0.0
        self.unpriced = False
        self._reserved = 0.0
        self._under_way = 0
        self._changed = asyncio.Condition()

    async def reserve(self, model: str, worst_usd: float | None) -> None:
        """Take room for a call that is about to be made. Where only calls under way stand in its way, wait for them.

        Raises:
            BudgetError: there is none; the call must not be made.
            ConfigError: there is a budget, but the model's price isn't known.
        """
        async with self._changed:
            while not self._fits(model, worst_usd):
                if not self._under_way:
                    raise BudgetError(
                        f"the next call could pass the budget of {dollars(self.budget_usd)}: {dollars(self.spent_usd)} "
                        f"are spent, and it may cost {dollars(worst_usd or 0)}",
                        hint="what is done is kept; go on with the same command and a higher --budget",
                    )
                await self._changed.wait()
            self.calls += 1
            self._under_way += 1
            self._reserved += worst_usd or 0.0

    def _fits(self, model: str, worst_usd: float | None) -> bool:
        if self.max_calls is not None and self.calls >= self.max_calls:
            raise BudgetError(
                f"the limit of {self.max_calls:,} calls is reached",
                hint="what is done is kept; go on with the same command and a higher --max-calls",
            )
        if self.budget_usd is None:
            return True
        if worst_usd is None:
            raise ConfigError(
                f"the price of {model} is not known, so no budget can be kept", hint="limit the calls with --max-calls"
            )
        return self.spent_usd + self._reserved + worst_usd <= self.budget_usd

    async def settle(self, worst_usd: float | None, cost_usd: float | None) -> None:
        """A call is over. `cost_usd` is None where it can't be known."""
        async with self._changed:
            self._under_way -= 1
            self._reserved -= worst_usd or 0.0
            self.unpriced |= cost_usd is None
            self.spent_usd += (worst_usd or 0.0) if cost_usd is None else cost_usd
            self._changed.notify_all()
