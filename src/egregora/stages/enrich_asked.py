"""Enrich with a model: fetched pages and pictures are described by it."""

from __future__ import annotations

import functools
from dataclasses import replace

from egregora.stages.enrich_describe import CONFIG_KEYS, describe_page, describe_picture
from egregora.stages.enrich_described import STAGE as DESCRIBED
from egregora.stages.enrich_described import enrich_described

__all__ = ["STAGE"]

STAGE = replace(
    DESCRIBED,
    func=functools.partial(
        enrich_described, describe_page=describe_page, describe_picture=describe_picture, asked=list(CONFIG_KEYS)
    ),
    config_keys=(*DESCRIBED.config_keys, *CONFIG_KEYS),
)
