"""``compose.yaml``: the same services as elsewhere, in a form that old programs read too."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from integration import containers
from integration.image import python_image

ROOT: Final = Path(__file__).parents[1]
FILE: Final = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]


def test_debian_s_old_program_reads_it() -> None:
    """Version 1.29 knows neither a top-level name nor include."""
    assert {key for key in FILE if not key.startswith("x-")} == {"services"}


@pytest.mark.parametrize(
    ("service", "variable", "default"),
    [
        ("rabbitmq", "RABBITMQ_IMAGE", containers.RABBITMQ_IMAGE),
        ("postgres", "POSTGRES_IMAGE", containers.POSTGRES_IMAGE),
        ("kafka", "KAFKA_IMAGE", containers.KAFKA_IMAGE),
    ],
)
def test_images_are_those_of_the_tests_and_are_named_by_the_same_variables(
    service: str, variable: str, default: str
) -> None:
    assert SERVICES[service]["image"] == f"${{{variable}:-{default}}}"


def test_the_image_is_built_on_the_base_that_the_dockerfile_names() -> None:
    assert SERVICES["edge"]["build"]["args"] == {"PYTHON_IMAGE": f"${{PYTHON_IMAGE:-{python_image({})}}}"}


def test_rabbitmq_and_kafka_are_configured_as_in_the_tests() -> None:
    assert SERVICES["rabbitmq"]["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] == containers.TRANSIENT_QUEUES
    assert containers.kafka_environment().items() <= SERVICES["kafka"]["environment"].items()


def test_all_come_back_are_watched_and_have_time_to_stop() -> None:
    assert {name for name, service in SERVICES.items() if service["restart"] != "unless-stopped"} == set()
    assert {name for name in SERVICES if "healthcheck" not in SERVICES[name]} == {"edge", "worker"}  # the image's own
    assert SERVICES["edge"]["stop_grace_period"] == SERVICES["worker"]["stop_grace_period"] == "20s"


def test_every_file_that_is_mounted_is_there_and_only_what_browsers_reach_is_published_on_loopback() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert [path for path, *_ in mounts if not (ROOT / path).exists()] == []
    assert {mode for *_, mode in mounts} == {"ro"}
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "edge": ["127.0.0.1:${EDGE_PORT:-8080}:8080"],
        "composer": ["127.0.0.1:${COMPOSER_PORT:-8090}:8090"],
    }
