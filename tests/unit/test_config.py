"""The configuration: one model, every field documented, wrong settings explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from egregora.config import Config, explanations, load_config
from egregora.errors import ConfigError

SECTIONS = {n: field.annotation for n, field in Config.model_fields.items() if n not in ("site_key", "prompts")}


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "egregora.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_documented(section: str) -> None:
    """Each setting says in its docstring what it is."""
    model = SECTIONS[section]
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    assert model.__doc__
    assert [name for name in model.model_fields if not explanations(model).get(name)] == []


def test_without_a_file_all_is_as_usual(tmp_path: Path) -> None:
    """A site needs no settings."""
    assert Config() == load_config(tmp_path / "egregora.toml")


@pytest.mark.parametrize(
    ("text", "says", "hints"),
    [
        (
            '[parse]\ntimezne = "UTC"',
            "unknown key 'parse.timezne' in egregora.toml; did you mean 'timezone'?",
            "timezone",
        ),
        ("[prase]\nsource = 'auto'", "unknown key 'prase' in egregora.toml; did you mean 'parse'?", "publish"),
        ("[write]\nxyzzy = 1", "unknown key 'write.xyzzy' in egregora.toml", "window"),
        ("site_key = 'x'", "unknown key 'site_key'", ".egregora/key"),
        (
            '[parse]\ntimezone = "Europe/Lisbonn"',
            "unknown timezone 'Europe/Lisbonn'; did you mean 'Europe/Lisbon'?",
            "",
        ),
        ('[parse]\ntimezone = "../../etc/passwd"', "unknown timezone", ""),
        ('[write]\nwindow = "7"', "is no window", ""),
        ('[write]\nwindow = "0d"', "is no window", ""),
        ('[write]\nwindow = "d"', "is no window", ""),
        ('[write]\nwindow = "-3d"', "is no window", ""),
        ('[write]\nwindow = "9999999m"', "is no window", ""),
        ('[parse]\ndate_order = "ydm"', "parse.date_order", ""),
        ("[enrich]\nthumbnail_pixels = 1", "enrich.thumbnail_pixels", ""),
        ("[enrich]\nthumbnail_pixels = 'big'", "enrich.thumbnail_pixels", ""),
        ("parse = 3", "parse", ""),
        ("[[parse]]\nsource = 'a'", "parse", ""),
        ("[write]\nfrom_date = 'yesterday'", "write.from_date", ""),
        ("[privacy]\nalso_redact = 'Zorro Quandt'", "privacy.also_redact", ""),
        ("[privacy]\nalso_redact = [1]", "privacy.also_redact", ""),
        ("= nonsense", "not valid TOML", "correct"),
    ],
)
def test_a_wrong_setting_is_explained(tmp_path: Path, text: str, says: str, hints: str) -> None:
    """What is wrong, and the nearest known key, in one line, with what to do."""
    with pytest.raises(ConfigError) as caught:
        load_config(toml(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert hints in caught.value.hint
    assert "Zorro" not in str(caught.value)


def test_a_file_that_is_no_text_is_explained(tmp_path: Path) -> None:
    """Bytes that aren't UTF-8, and a folder in the file's place, are told as such."""
    path = tmp_path / "egregora.toml"
    path.write_bytes(b"[site]\ntitle = '\xff'")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(path)


def test_what_the_command_line_says_counts_more(tmp_path: Path) -> None:
    """Overrides are laid over the file, field by field."""
    path = toml(tmp_path, "[write]\nwindow = '3d'\nmin_messages = 2")
    config = load_config(path, overrides={"write": {"window": "0100m"}, "site": {"title": "T"}})
    assert (config.write.window, config.write.min_messages, config.site.title) == ("100m", 2, "T")


def test_the_site_key_never_shows(tmp_path: Path) -> None:
    """The key is in no representation, no dump and no error."""
    config = load_config(tmp_path / "egregora.toml", site_key=b"\x01topsecret")
    assert config.site_key.get_secret_value() == b"\x01topsecret"
    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()} {config.model_copy()!r}"
    assert "topsecret" not in shown
    assert "site_key" not in config.model_dump()


def test_names_to_redact_never_show() -> None:
    """Words to take out are secrets themselves."""
    config = Config.model_validate({"privacy": {"also_redact": ["Zorro Quandt"]}})
    assert (SecretStr("Zorro Quandt"),) == config.privacy.also_redact
    assert "Zorro" not in repr(config)


def test_a_configuration_can_not_be_changed() -> None:
    """What was hashed is what is read."""
    with pytest.raises(ValueError):
        Config().write.window = "1d"


@pytest.mark.parametrize(
    ("given", "zone", "region"),
    [
        ("auto", "Europe/Lisbon", "PT"),
        ("auto", "America/Sao_Paulo", "BR"),
        ("auto", "UTC", "US"),
        ("br", "UTC", "BR"),
        ("GB", "Europe/Lisbon", "GB"),
    ],
)
def test_numbers_are_read_as_in_the_country_of_the_timezone(given: str, zone: str, region: str) -> None:
    """Nobody should have to know that a phone number needs a country to be found."""
    from egregora.stages.privacy import phone_region

    overrides = {"privacy": {"default_region": given}, "parse": {"timezone": zone}}
    assert phone_region(load_config(Path("nowhere.toml"), overrides=overrides)) == region


@pytest.mark.parametrize("region", ["portugal", "XX", ""])
def test_a_country_that_is_none_is_refused(region: str) -> None:
    """A misspelt country would let numbers through in silence."""
    with pytest.raises(ConfigError, match="unknown country"):
        load_config(Path("nowhere.toml"), overrides={"privacy": {"default_region": region}})


def test_days_in_the_wrong_order_are_refused() -> None:
    """The first day can't be after the last."""
    days = {"from_date": "2024-03-02", "to_date": "2024-03-01"}
    with pytest.raises(ConfigError, match="is after the last"):
        load_config(Path("nowhere.toml"), overrides={"write": days})
