"""The Kubernetes base: what the API server would refuse, or accept and quietly ignore, is refused here."""

import copy
import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from pydantic_settings import BaseSettings

import edge.settings
import streams.settings
from edge.page import live_page
from runtime.sources import SECRETS

Manifest = dict[str, Any]

ROOT: Final = Path(__file__).parent.parent
K8S: Final = ROOT / "k8s"
VERSIONS: Final = ("1.30", kubernetes_validate.latest_version().rpartition(".")[0])
"""The oldest Kubernetes that the base is meant for (1.30 brought preStop's ``sleep``), and the newest known here."""

KUSTOMIZATION: Final[Manifest] = yaml.safe_load((K8S / "kustomization.yaml").read_text())
MANIFESTS: Final[dict[tuple[str, str], Manifest]] = {
    (manifest["kind"], manifest["metadata"]["name"]): manifest
    for file in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((K8S / file).read_text())
}
COMPONENTS: Final = ("streams", "edge")
SETTINGS: Final[dict[str, type[BaseSettings]]] = {
    "streams": streams.settings.Settings,
    "edge": edge.settings.Settings,
}


def of_kind(kind: str) -> list[Manifest]:
    """Pick the manifests of one kind."""
    return [manifest for (one, _), manifest in MANIFESTS.items() if one == kind]


def deployment(component: str) -> Manifest:
    """Look up the spec of a component's Deployment."""
    spec: Manifest = MANIFESTS["Deployment", f"postcast-{component}"]["spec"]
    return spec


def container(component: str) -> Manifest:
    """Look up a component's only container."""
    (only,) = deployment(component)["template"]["spec"]["containers"]
    spec: Manifest = only
    return spec


def ports(component: str) -> dict[str, int]:
    """Map the names of a component's ports to their numbers."""
    return {port["name"]: port["containerPort"] for port in container(component)["ports"]}


def environment(component: str) -> dict[str, str]:
    """Put together what a component's process finds in its environment."""
    merged: dict[str, str] = {}
    for source in container(component)["envFrom"]:
        match source:
            case {"configMapRef": {"name": name}}:
                merged |= MANIFESTS["ConfigMap", name]["data"]
            case {"secretRef": {"name": name}}:
                merged |= MANIFESTS["Secret", name]["stringData"]
    return merged | {variable["name"]: variable["value"] for variable in container(component).get("env", ())}


def labels(component: str) -> dict[str, str]:
    """Name the labels by which a component's pods are found."""
    return {"app.kubernetes.io/name": "postcast", "app.kubernetes.io/component": component}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=["-".join(key) for key in MANIFESTS])
def test_every_manifest_is_valid(manifest: Manifest, version: str) -> None:
    """Each manifest satisfies its API's full schema, in which unknown fields are errors."""
    assert kubernetes_validate.validate(manifest, version, strict=True) == version


@pytest.mark.parametrize("path", [
    (),
    ("metadata",),
    ("spec",),
    ("spec", "strategy", "rollingUpdate"),
    ("spec", "template", "spec"),
    ("spec", "template", "spec", "topologySpreadConstraints", 0),
    ("spec", "template", "spec", "containers", 0),
    ("spec", "template", "spec", "containers", 0, "lifecycle", "preStop", "sleep"),
    ("spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet"),
    ("spec", "template", "spec", "containers", 0, "securityContext", "capabilities"),
], ids=str)  # fmt: skip
def test_a_misspelt_field_is_refused_wherever_it_stands(path: tuple[str | int, ...]) -> None:
    """The validation above would notice a field that the API server drops without a word."""
    manifest = copy.deepcopy(MANIFESTS["Deployment", "postcast-edge"])
    place: Any = manifest
    for step in path:
        place = place[step]
    place["misspelt"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="misspelt"):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)


def test_kustomization_lists_every_file_once() -> None:
    """No file of the folder is forgotten, none is listed that is not there, and no object is defined twice."""
    files = sorted(path.name for path in K8S.glob("*.yaml") if path.name != "kustomization.yaml")
    assert sorted(KUSTOMIZATION["resources"]) == files
    documents = list(chain.from_iterable(yaml.safe_load_all((K8S / file).read_text()) for file in files))
    assert len(documents) == len(MANIFESTS)


@pytest.mark.parametrize("component", COMPONENTS)
def test_selectors_find_the_pods_of_their_component(component: str) -> None:
    """Whatever selects pods of a component selects exactly these."""
    spec = deployment(component)
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [
        spec["template"]["metadata"]["labels"],
        spec["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
        MANIFESTS["PodDisruptionBudget", f"postcast-{component}"]["spec"]["selector"]["matchLabels"],
    ] == [labels(component)] * 4


def test_traffic_reaches_the_edge_by_name() -> None:
    """Ingress, Service and container name the same port, and the Service selects the edge's pods."""
    service = MANIFESTS["Service", "postcast-edge"]
    ((port,), (rule,)) = (service["spec"]["ports"], MANIFESTS["Ingress", "postcast"]["spec"]["rules"])
    backends = [path["backend"]["service"] for path in rule["http"]["paths"]]
    assert backends == [{"name": "postcast-edge", "port": {"name": port["name"]}}] * len(backends)
    assert service["spec"]["selector"] == labels("edge")
    assert port["targetPort"] == "http"


def test_the_public_sees_the_page_and_no_metrics_and_no_probes() -> None:
    """Every path of the Ingress is exact, so that what is not listed is not served."""
    paths = [
        (path["path"], path["pathType"])
        for ingress in of_kind("Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert {kind for _, kind in paths} == {"Exact"}
    assert {path for path, _ in paths} == {*live_page(), "/status.json", "/events", "/posts"}


@pytest.mark.parametrize(("component", "port", "public"), [("streams", "web", []), ("edge", "admin", ["http"])])
def test_metrics_and_probes_are_closed_to_strangers(component: str, port: str, public: list[str]) -> None:
    """One namespace may ask there; of the edge's ports the clients' one is open, and no other."""
    policy = MANIFESTS["NetworkPolicy", f"postcast-{component}"]["spec"]
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert policy == {
        "podSelector": {"matchLabels": labels(component)},
        "policyTypes": ["Ingress"],
        "ingress": [
            *({"ports": [{"port": name}]} for name in public),
            {"from": monitoring, "ports": [{"port": port}]},
        ],
    }
    assert {port, *public} == ports(component).keys()
    assert len(of_kind("NetworkPolicy")) == len(COMPONENTS)


@pytest.mark.parametrize("component", COMPONENTS)
def test_probes_ask_the_contracts_paths_at_a_port_that_exists(component: str) -> None:
    """Start and life are asked of /livez, readiness of /readyz, at the port that is not the clients'."""
    (name,) = ports(component).keys() - {"http"}
    probes = {probe: container(component)[probe]["httpGet"] for probe in container(component) if "Probe" in probe}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": name},
        "livenessProbe": {"path": "/livez", "port": name},
        "readinessProbe": {"path": "/readyz", "port": name},
    }


def test_ports_are_those_on_which_the_processes_listen() -> None:
    """No setting in the base moves a process away from the ports that its container declares."""
    assert ports("edge") == {
        "http": edge.settings.Settings.model_fields["edge_port"].default,
        "admin": int(environment("edge")["ADMIN_PORT"]),
    }
    assert ports("streams") == {"web": streams.settings.Settings.model_fields["worker_port"].default}
    assert not {"EDGE_PORT", "WORKER_PORT"} & (environment("edge").keys() | environment("streams").keys())


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_environment_is_one_that_the_process_accepts(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the base's ConfigMap and Secret alone, every setting is there that must be, and none is malformed."""
    for name in SETTINGS[component].model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment(component).items():
        monkeypatch.setenv(name, value)
    accepted = SETTINGS[component]().model_fields_set
    assert accepted == {name.lower() for name in environment(component)} & SETTINGS[component].model_fields.keys()


def test_every_key_is_a_setting_of_one_of_the_processes() -> None:
    """A misspelt variable would be ignored by both."""
    known = {name.upper() for settings in SETTINGS.values() for name in settings.model_fields}
    assert environment("streams").keys() | environment("edge").keys() <= known


def test_passwords_are_given_to_the_worker_alone_and_are_placeholders() -> None:
    """The edge, which faces the world, reads no Secret; and the base holds nobody's password."""
    assert container("edge")["envFrom"] == [{"configMapRef": {"name": "postcast"}}]
    secret = MANIFESTS["Secret", "postcast-streams"]["stringData"]
    assert sorted(secret) == ["AMQP_URL", "DATABASE_URL"]
    assert all("://REPLACE-USER:REPLACE-PASSWORD@" in url for url in secret.values())


def test_the_worker_can_have_its_secrets_as_files() -> None:
    """The optional component names a file for each key of the Secret, where the Secret is mounted, and no more."""
    folder = K8S / "secret-files"
    (patch,) = yaml.safe_load((folder / "kustomization.yaml").read_text())["patches"]
    manifest = yaml.safe_load((folder / patch["path"]).read_text())
    pod = manifest["spec"]["template"]["spec"]
    (patched,) = pod["containers"]
    (mount,), (volume,) = patched["volumeMounts"], pod["volumes"]
    assert (manifest["metadata"]["name"], patched["name"]) == ("postcast-streams", container("streams")["name"])
    assert (mount["name"], volume["secret"]["secretName"]) == (volume["name"], "postcast-streams")
    assert patched["envFrom"] == [{"configMapRef": {"name": "postcast"}}]
    keys = MANIFESTS["Secret", "postcast-streams"]["stringData"]
    assert patched["env"] == [{"name": f"{key}_FILE", "value": f"{mount['mountPath']}/{key}"} for key in sorted(keys)]
    assert keys.keys() <= SECRETS
    assert (
        pod["securityContext"]["fsGroup"] == deployment("streams")["template"]["spec"]["securityContext"]["runAsGroup"]
    )


@pytest.mark.parametrize("component", COMPONENTS)
def test_autoscalers_target_their_deployment(component: str) -> None:
    """They scale on CPU, which must then be requested; and no fixed number of replicas works against them."""
    scaler = MANIFESTS["HorizontalPodAutoscaler", f"postcast-{component}"]["spec"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"postcast-{component}"}
    assert scaler["scaleTargetRef"] == target
    assert [metric["resource"]["name"] for metric in scaler["metrics"]] == ["cpu"]
    assert "cpu" in container(component)["resources"]["requests"]
    assert "replicas" not in deployment(component)


def test_no_more_workers_than_partitions() -> None:
    """A worker more than posts.created has partitions would have no windows."""
    scaler = MANIFESTS["HorizontalPodAutoscaler", "postcast-streams"]["spec"]
    assert scaler["maxReplicas"] == int(environment("streams")["CREATED_PARTITIONS"])


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_have_no_rights(component: str) -> None:
    """Not root, no capability, no writable file, no API token; the user is the image's."""
    pod = deployment(component)["template"]["spec"]
    (uid,) = re.findall(r"^USER (\d+):\1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(uid),
        "runAsGroup": int(uid),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(component)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


def test_both_run_the_contracts_commands_from_one_image() -> None:
    """The image's version is the project's; its default command is the edge's."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert KUSTOMIZATION["images"] == [{"name": "postcast", "newTag": version}]
    assert {component: (container(component)["image"], container(component)["args"]) for component in COMPONENTS} == {
        "streams": ("postcast", ["faust", "-q", "-A", "streams.app", "worker", "-l", "info"]),
        "edge": ("postcast", ["python", "-m", "edge"]),
    }
    (command,) = re.findall(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert json.loads(command) == container("edge")["args"]


def test_a_rollout_takes_no_edge_away_before_a_new_one_is_ready() -> None:
    """And the old one has the time for both, to be forgotten by the proxies and to drain."""
    assert deployment("edge")["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pause = container("edge")["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = edge.settings.Settings.model_fields["drain_seconds"].default
    assert deployment("edge")["template"]["spec"]["terminationGracePeriodSeconds"] > pause + drain
