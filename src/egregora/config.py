"""The configuration of a site: one model of `egregora.toml`, every field documented and read by some code."""

from __future__ import annotations

import ast
import inspect
import textwrap
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    model_validator,
)

from egregora.errors import ConfigError

__all__ = [
    "Config",
    "EnrichConfig",
    "LlmConfig",
    "ParseConfig",
    "PrivacyConfig",
    "PublishConfig",
    "RankConfig",
    "SiteConfig",
    "WriteConfig",
    "country_of",
    "default_toml",
    "explanations",
    "load_config",
]


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean 'x'?` for the known word that is most like `word`, else nothing."""
    import difflib  # Only for what is wrong.

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else ""


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"unknown timezone '{name}'{nearest(name, sorted(available_timezones()))}") from None
    return name


def _tzdata(name: str) -> list[list[str]]:
    """A table of the time zone database."""
    from importlib.resources import files

    text = files("tzdata.zoneinfo").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def country_of(timezone: str) -> str | None:
    """The country (ISO 3166) that a timezone is in; None for one that is in none, such as `UTC`."""
    return next((row[0] for row in _tzdata("zone.tab") if row[2] == timezone), None)


def _region(code: str) -> str:
    if code.lower() == "auto":
        return "auto"
    if code.upper() not in {row[0] for row in _tzdata("iso3166.tab")}:
        raise ValueError(f"unknown country '{code}': two letters of ISO 3166 such as BR or PT, or auto")
    return code.upper()


def _window(text: str) -> str:
    if len(text) < 2 or text[-1] not in "dm" or not text[:-1].isdecimal() or not 0 < int(text[:-1]) < 1_000_000:
        raise ValueError(f"'{text}' is no window: a number of days such as 7d, or of messages such as 100m")
    return f"{int(text[:-1])}{text[-1]}"


def _unhashed(default: Any, **more: Any) -> Any:
    """A setting that says how to come by a result and doesn't change it: it stays out of every fingerprint."""
    return Field(default=default, json_schema_extra={"hashed": False}, **more)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteConfig(_Section):
    """What the site is."""

    title: str = "The group's blog"
    """Title of the site. It is published as it stands: don't put the group's real name here unless you want it read."""
    description: str = ""
    """One sentence under the title."""
    language: Literal["en", "pt"] = "en"
    """Language of the site's own words (ISO 639-1): `en` or `pt`."""
    base_url: str = ""
    """Where the site will be published, e.g. `https://example.org/blog/`, for the feed. Empty: relative links."""
    tenant: str = "default"
    """Name of this site in `tenant_id`, for catalogs that are brought together."""


class ParseConfig(_Section):
    """How exports are read."""

    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """Timezone in which the exporting phone showed its times, e.g. `America/Sao_Paulo`."""
    source: str = "auto"
    """Which source reads the export: `auto` (told by its content), or a name that `egregora sources` lists."""
    date_order: Literal["auto", "dmy", "mdy", "ymd"] = "auto"
    """Order of day, month and year: `auto` (told by the whole file), `dmy`, `mdy` or `ymd`."""


class PrivacyConfig(_Section):
    """How names are protected."""

    also_redact: tuple[SecretStr, ...] = ()
    """Further names or words to take out of every message, e.g. people who are talked of but don't write."""
    default_region: Annotated[str, AfterValidator(_region)] = "auto"
    """Country (ISO 3166, e.g. `BR`) in which a phone number without country code is read; `auto`: the timezone's."""


class EnrichConfig(_Section):
    """What is found out about messages."""

    thumbnail_pixels: int = Field(default=480, ge=64, le=2048)
    """Longer side of a picture's thumbnail, in pixels."""
    reply_minutes: int = Field(default=60, ge=1, le=1440)
    """How long after a message another one may still count as its answer, in minutes."""
    fetch_links: bool = False
    """Whether the pages that people linked to are fetched, to say what they are. Their servers then see this machine's
    address. Never fetched is what isn't on the open web."""
    describe_images: bool = False
    """With a model: whether it is shown the pictures (small, without their metadata) to describe them. Faces leave the
    machine then."""


class WriteConfig(_Section):
    """How posts are written."""

    window: Annotated[str, AfterValidator(_window)] = "7d"
    """What goes into one post: days (`1d`, `7d`; weeks begin on Monday) or messages (`100m`)."""
    from_date: date | None = None
    """First day to write about."""
    to_date: date | None = None
    """Last day to write about, itself included."""
    min_messages: int = Field(default=8, ge=1)
    """Windows with fewer messages of substance than this give no post."""
    max_quotes: int = Field(default=24, ge=1, le=200)
    """At most this many messages are quoted in a post that is put together without a model."""
    language: str = Field(default="", pattern=r"^([A-Za-z][A-Za-z -]*)?$", max_length=40)
    """Language that a model writes in, e.g. `pt` or `Brazilian Portuguese`. Empty: the site's."""
    without_model: tuple[str, ...] = ()
    """Windows that are put together without the model, e.g. because it refuses them, by the names that `egregora runs
    show` gives them: `["2024-03-04..2024-03-10"]`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ValueError(f"the first day, {self.from_date}, is after the last, {self.to_date}")
        return self


class RankConfig(_Section):
    """How posts are compared."""

    comparisons: int = Field(default=8, ge=1, le=64)
    """With how many others each post is compared by what happened in its window."""
    judged: int = Field(default=4, ge=0, le=64)
    """With how many others a model compares each post by reading both; 0: it doesn't. Each comparison is a call."""


class PublishConfig(_Section):
    """What the site shows."""

    media: bool = False
    """Whether pictures appear on the site (without their metadata). Faces are not protected by pseudonyms."""
    best_of: int = Field(default=10, ge=0, le=100)
    """How many posts the best-of page lists."""
    portraits: int = Field(default=50, ge=0)
    """With a model: from how many messages on a person gets a portrait on their page; 0: nobody does."""


class LlmConfig(_Section):
    """Which model writes, and how it is asked. Keys come from the environment, never from here."""

    model: str = ""
    """The model, e.g. `openai:gpt-5-mini`, `google:gemini-3-flash`, `anthropic:claude-haiku-4-5`, `ollama:gemma3`.
    Empty: none; posts are put together from what people wrote."""
    fallback: tuple[str, ...] = _unhashed(())
    """Models that are asked in this order when the first can't be reached."""
    base_url: str = _unhashed("")
    """Address of a server that speaks OpenAI's protocol, e.g. `http://localhost:8080/v1`. Empty: the provider's own."""
    temperature: float | None = Field(default=None, ge=0, le=2, examples=[0.7])
    """How free the model is in its choice of words. Not set: the provider's default."""
    max_output_tokens: int = Field(default=4096, ge=16, le=1_000_000)
    """Longest answer, in tokens; what a model thinks before it answers counts too."""
    context_tokens: int = Field(default=32_000, ge=512)
    """How much the model can take in at once, in tokens. Longer windows are split."""
    instructions: str = ""
    """What you want of the posts, in your own words, e.g. `Write like a friendly local newspaper.`"""
    concurrency: int = _unhashed(8, ge=1, le=64)
    """How many questions are with the model at a time."""
    timeout_seconds: float = _unhashed(120.0, gt=0, le=3600)
    """How long an answer may take."""
    retries: int = _unhashed(4, ge=0, le=20)
    """How often a question is sent again when the service is busy, fails or can't be reached."""
    budget_usd: float | None = _unhashed(None, ge=0, examples=[1.0])
    """What one `egregora write` may cost, in US dollars; it stops before that would be passed. Not set: no limit."""
    max_calls: int | None = _unhashed(None, ge=0, examples=[100])
    """How many calls one `egregora write` may make, failed ones included. Not set: no limit."""
    replay: Literal["off", "record", "replay"] = _unhashed("off")
    """`record` keeps every question with its answer in the site; `replay` answers from there, without a network."""


class Config(_Section):
    """A site's configuration, as in `egregora.toml`."""

    site: SiteConfig = SiteConfig()
    parse: ParseConfig = ParseConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    enrich: EnrichConfig = EnrichConfig()
    write: WriteConfig = WriteConfig()
    rank: RankConfig = RankConfig()
    publish: PublishConfig = PublishConfig()
    llm: LlmConfig = LlmConfig()
    prompts: dict[str, str] = Field(default={}, exclude=True, repr=False)
    """What a model is told, by name: the program's own texts, or those of `prompts/NAME.md` in the site."""
    site_key: SecretBytes = Field(default=SecretBytes(b""), exclude=True, repr=False)
    """The site's secret key. Never in `egregora.toml`: it lies in `.egregora/key`."""


def load_config(path: Path, *, overrides: dict[str, dict[str, Any]] | None = None, site_key: bytes = b"") -> Config:
    """Read `egregora.toml`, laying `overrides` (section → field → value) over it.

    With a model, what it is told comes along: our own prompts, and those in the folder `prompts` beside the file.

    Raises:
        ConfigError: the file isn't TOML, a key is unknown (the nearest known one is named) or a value can't be used.
    """
    data: dict[str, Any] = {}
    if path.exists():
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path.name} is not valid TOML: {error}", hint=f"correct {path.name}") from None
        except OSError as error:
            raise ConfigError(f"{path.name} can't be read: {error.strerror}", hint="check its permissions") from None
    for word, where in (("site_key", "the key lies in .egregora/key"), ("prompts", "they lie in prompts/NAME.md")):
        if word in data:
            raise ConfigError(f"unknown key '{word}' in egregora.toml", hint=f"{where}; remove the line")
    for section, values in (overrides or {}).items():
        table = data.setdefault(section, {})
        if isinstance(table, dict):
            table.update(values)
    try:
        config = Config(**data, site_key=SecretBytes(site_key))
    except ValidationError as error:
        raise _explained(error, path.name) from None
    return config.model_copy(update={"prompts": _prompts(path.parent / "prompts")}) if config.llm.model else config


def _prompts(own: Path) -> dict[str, str]:
    """What a model is told, by name: the package's texts, with the site's own in their place.

    Raises:
        ConfigError: a file has a name that stands for nothing, or can't be read.
    """
    from importlib.resources import files

    ours = files("egregora").joinpath("llm", "prompts")
    entries = ours.iterdir() if ours.is_dir() else ()
    texts = {entry.name: entry.read_text(encoding="utf-8") for entry in entries if entry.name.endswith(".md")}
    for path in sorted(own.glob("*.md")) if own.is_dir() else ():
        if path.name not in texts:
            raise ConfigError(
                f"there is no prompt '{path.name}'{nearest(path.name, sorted(texts))}",
                hint=f"prompts are {', '.join(sorted(texts))}",
            )
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"prompts/{path.name} can't be read ({error})", hint="make it a text in UTF-8") from None
    return {name.removesuffix(".md"): text for name, text in texts.items()}


def _explained(error: ValidationError, name: str) -> ConfigError:
    """The first thing wrong with a configuration, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = [str(part) for part in first["loc"]]
    dotted = ".".join(where)
    if first["type"] == "extra_forbidden":
        model: Any = Config
        for part in where[:-1]:
            model = model.model_fields[part].annotation
        known = [field for field in model.model_fields if field not in ("site_key", "prompts")]
        return ConfigError(
            f"unknown key '{dotted}' in {name}{nearest(where[-1], known)}",
            hint=f"known keys there: {', '.join(known)}",
        )
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"{dotted}: {message}", hint=f"correct it in {name} or on the command line")


def explanations(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each setting of a section, by the setting's name.

    Read from the source when somebody asks: pydantic's own `use_attribute_docstrings` reads it at every import, which
    was a fifth of the time that this module takes.
    """
    (section,) = ast.parse(inspect.getsource(model)).body
    found = {}
    for setting, below in pairwise(section.body if isinstance(section, ast.ClassDef) else ()):
        if (
            isinstance(setting, ast.AnnAssign)
            and isinstance(setting.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[setting.target.id] = inspect.cleandoc(str(below.value.value))
    return found


def default_toml() -> str:
    """`egregora.toml` with every setting explained and commented out, as `egregora init` writes it."""
    lines = [
        "# Settings of this site. Each line that begins with '#' and a name shows a default, or an example where there",
        "# is none: take the '#' away to change it.",
    ]
    for section, info in Config.model_fields.items():
        model: Any = info.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        lines += ["", f"# {(model.__doc__ or '').strip()}", f"[{section}]"]
        explained = explanations(model)
        for name, setting in model.model_fields.items():
            lines += [f"# {line}" for line in textwrap.wrap(explained[name], 100)]
            shown = (setting.examples or [None])[0] if setting.default is None else setting.default
            lines.append(f"#{name} = {_toml(shown)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if value is None:
        return "2024-01-31"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
