"""Asking a model: the one door through which anything leaves this machine.

A stage with a model reads `llm.model` and what else it needs of `[llm]`, and the prompts by name:

    config_keys=("write", *MODEL_KEYS, "llm.instructions", "prompts.write")

It makes one child for each piece of work, some at a time, and asks in the child:

    def one_window(table, config, *, run_id, context):
        said = ask(
            context.privacy_pass(), context, purpose="write a window", instructions=config.prompts.write,
            prompt=…, output=Posts, check=…,
        )
        return pa.table(…)

    jobs = [
        functools.partial(
            context.child_result, label, one_window, rows, config_keys=(*MODEL_KEYS, "prompts.write"), output=DRAFTS
        )
        for label, rows in windows
    ]
    tables = context.run_children(jobs, config.llm.concurrency)

What children read must be among what the stage reads. Settings that change no result (`concurrency`, `retries`, …) are
never counted and may always be read. Nothing of this package counts as a stage's code.
"""

from __future__ import annotations

from egregora.llm.asking import ask
from egregora.llm.request import estimated_tokens

__all__ = ["MODEL_KEYS", "ask", "estimated_tokens"]

MODEL_KEYS = ("llm.model", "llm.temperature", "llm.max_output_tokens")
"""What of the configuration every answer depends on."""
