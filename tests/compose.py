"""`docker-compose.yml` and `Dockerfile` as data, and their commands for this machine instead of a container."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from tests.conftest import REPOSITORY

DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
INSTRUCTION = re.compile(r"^([A-Z]+)\s+((?:.*\\\n)*.*)$", re.MULTILINE)


def read() -> dict[str, Any]:
    """The file as Compose reads it without a `.env`: variables have their defaults, merges are made."""
    text = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(DEFAULT.sub(r"\1", text))
    return data


def command(service: Mapping[str, Any]) -> list[str]:
    """A service's command, in words."""
    given = service["command"]
    return shlex.split(given) if isinstance(given, str) else list(given)


def stages() -> dict[str, list[tuple[str, str]]]:
    """The Dockerfile's instructions by stage: name and rest, in order."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for name, rest in INSTRUCTION.findall(text):
        rest = rest.replace("\\\n", " ")
        if name == "FROM":
            found[rest.rpartition(" AS ")[2]] = []
        found[list(found)[-1]].append((name, rest))
    return found


def variables(stage: str) -> dict[str, str]:
    """What a stage sets with ENV."""
    given = " ".join(rest for name, rest in stages()[stage] if name == "ENV")
    return dict(word.split("=", 1) for word in shlex.split(given))
