"""The Dockerfile, the Compose file and the examples agree with the product. No engine is needed; see also
`tests/integration/test_compose.py`, which runs the commands."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests import compose
from tests.conftest import REPOSITORY
from worker.cli import app
from worker.settings import Settings, load_settings

SERVICES = compose.read()["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "stockmeta:local"}
STAGES = compose.stages()
TARGETS = {name: stage for name, stage in STAGES.items() if any(word == "ENTRYPOINT" for word, _ in stage)}

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
each_of_ours = pytest.mark.parametrize("service", OURS.values(), ids=list(OURS))
each_target = pytest.mark.parametrize("stage", TARGETS.values(), ids=list(TARGETS))


def parse(words: list[str]) -> str:
    """The command that these words name. Raises for commands and options that do not exist."""
    command, rest, names = typer.main.get_command(app), list(words), []
    while True:
        context: Any = command.make_context("stockmeta", rest)
        if not hasattr(command, "resolve_command"):
            return " ".join(names)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        names.append(str(name))


def seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)(s|m)", text)
    assert match, text
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


def test_what_is_looked_at_is_there() -> None:
    assert set(SERVICES) == {"redis", "store", "worker", "listener"}
    assert set(OURS) == {"worker", "listener"}
    assert set(TARGETS) == {"store", "stockmeta"}


@each_of_ours
def test_commands_exist_with_all_their_options(service: dict[str, Any]) -> None:
    words = compose.command(service)
    name = parse(words)
    assert name == " ".join(words[: len(name.split())])
    with pytest.raises(typer.TyperException):
        parse([*words, "--no-such-option"])


def test_the_image_starts_a_worker_unless_told_otherwise() -> None:
    assert parse(json.loads(dict(TARGETS["stockmeta"])["CMD"])) == "worker"


@each_of_ours
def test_settings_are_ours_and_valid(service: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given = compose.variables("stockmeta") | service["environment"]
    known = {f"STOCKMETA_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith("STOCKMETA_")} <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.broker_url is not None
    assert settings.library == "s3://photos"
    assert settings.log_format == "json"
    assert seconds(service["stop_grace_period"]) > settings.grace_seconds + 5


@each_service
def test_services_can_do_no_more_than_they_have_to(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "network_mode"} & set(service)
    assert all(volume.partition(":")[0] in compose.read()["volumes"] for volume in service.get("volumes", ()))


@each_service
def test_services_say_whether_they_are_well_and_come_back(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    kind, program, *arguments = service["healthcheck"]["test"]
    assert kind == "CMD"
    if program == "python":
        compile(arguments[1], "health check", "exec")


@each_service
def test_nothing_is_published_beyond_this_machine(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_redis_is_reachable_by_none_but_those_who_need_it() -> None:
    networks = compose.read()["networks"]
    assert SERVICES["redis"]["networks"] == ["queue"]
    assert networks["queue"]["internal"] is True
    assert networks["store"]["internal"] is True
    assert "ports" not in SERVICES["redis"]
    assert {name for name, service in SERVICES.items() if "queue" in service["networks"]} == {"redis", *OURS}


def test_redis_loses_nothing_by_itself() -> None:
    words = compose.command(SERVICES["redis"])
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--maxmemory"]


def test_secrets_come_from_outside() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +(\w*(?:KEY|SECRET|TOKEN|PASSWORD)\w*): (.+)$", text, re.MULTILINE)
    assert len(named) >= 5
    assert all(re.fullmatch(r"\$\{\w+:-trial[\w-]*\}", value) for _, value in named)
    listens = SERVICES["listener"]["environment"]["STOCKMETA_WEBHOOK_SECRET"]
    assert listens == SERVICES["store"]["environment"]["WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN"]


@each_of_ours
def test_services_wait_for_what_they_need(service: dict[str, Any]) -> None:
    assert service["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "store": {"condition": "service_healthy"},
    }


@each_target
def test_images_run_as_nobody_in_particular(stage: list[tuple[str, str]]) -> None:
    words = dict(stage)
    user, group = words["USER"].split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert json.loads(words["ENTRYPOINT"]), "a shell in between would swallow SIGTERM"
    assert words["STOPSIGNAL"] == "SIGTERM"


def test_services_run_as_nobody_in_particular() -> None:
    assert SERVICES["redis"]["user"] == "redis"
    for name, service in SERVICES.items():
        if name != "redis":
            assert service["build"]["target"] in TARGETS
            assert "user" not in service


def test_the_image_says_whether_it_is_alive() -> None:
    health = dict(TARGETS["stockmeta"])["HEALTHCHECK"]
    _, _, arguments = health.partition("CMD ")
    program, option, code = json.loads(arguments)
    assert (program, option) == ("python", "-c")
    compile(code, "health check", "exec")
    assert "/healthz" in code


def test_the_image_has_pinned_versions_and_no_secrets() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip install (.*(?:\\\n.*)*)", text)
    assert len(installs) == 3
    assert all("constraints.txt" in install for install in installs)
    assert not re.search(r"^(?:ENV|ARG) .*(?:KEY|SECRET|TOKEN|PASSWORD)", text, re.MULTILINE)


def test_the_image_gets_all_that_it_is_built_from_and_nothing_else() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = {"pyproject.toml", "constraints.txt", project["project"]["readme"], *project["project"]["license-files"]}
    allowed = {
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert allowed == {*packages, *files}
    copied = [rest.split()[:-1] for stage in STAGES.values() for word, rest in stage if word == "COPY"]
    assert {source for sources in copied for source in sources if not source.startswith(("--", "/"))} == allowed
    assert all(Path(REPOSITORY / name).exists() for name in allowed)


def test_the_unit_for_systemd_starts_a_worker_and_lets_it_put_back_what_it_has() -> None:
    lines = (REPOSITORY / "examples" / "stockmeta-worker.service").read_text(encoding="utf-8").splitlines()
    options = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    program, *words = options["ExecStart"].split()
    assert program.endswith("/stockmeta")
    assert parse(words) == "worker"
    assert int(options["TimeoutStopSec"]) > Settings().grace_seconds + 10
    assert options["KillMode"] == "mixed", "children are the worker's to stop"
    assert options["Restart"] == "always"
    named = set(re.findall(r"STOCKMETA_([A-Z_]+)", "\n".join(lines)))
    assert named <= {name.upper() for name in Settings.model_fields}
