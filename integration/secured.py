"""An Apache Kafka that asks its clients for TLS, certificates and passwords, with an authority of its own.

It is one container with five listeners on the host. Its configuration is a file that the container writes for itself,
since the names of some properties cannot be those of environment variables.
"""

from pathlib import Path
from typing import Final, NamedTuple

import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from integration import probes
from integration.containers import ContainerService
from integration.ports import free_port

USER: Final = "postcast"

# A listener's name, its protocol, and the port inside the container.
_LISTENERS: Final = {
    "OPEN": ("PLAINTEXT", 9092),
    "LOGIN": ("SASL_PLAINTEXT", 9094),
    "TLS": ("SSL", 9095),
    "MUTUAL": ("SSL", 9096),
    "TLSLOGIN": ("SASL_SSL", 9097),
}
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SCRIPT: Final = """
printf '%s\\n' "$PROPERTIES" >/tmp/secured.properties
run=(java -Xms256m -Xmx256m -cp '/opt/kafka/libs/*')
"${run[@]}" kafka.tools.StorageTool format --ignore-formatted -t 4L6g3nShT-eMCtK--X86sw -c /tmp/secured.properties \\
    --add-scram "SCRAM-SHA-256=[name=$SCRAM_USER,password=$SCRAM_PASSWORD]" \\
    --add-scram "SCRAM-SHA-512=[name=$SCRAM_USER,password=$SCRAM_PASSWORD]"
exec "${run[@]}" kafka.Kafka /tmp/secured.properties
"""


class SecuredKafka(ContainerService):
    """A broker whose listeners are reached by :meth:`listener`; ``files`` is a folder for certificates and keys.

    ``ca.pem`` there is the authority; ``cert.pem`` and ``key.pem`` are a client's; ``stranger.pem`` is another
    authority, which has signed nothing.
    """

    def __init__(self, image: str, files: Path, password: str) -> None:
        self._ports = {name: free_port() for name in _LISTENERS}
        self.files = files
        environment = {
            "PROPERTIES": _properties(self._ports, _make_certificates(files), password),
            "SCRAM_USER": USER,
            "SCRAM_PASSWORD": password,
        }
        super().__init__(
            "the secured Kafka",
            self.listener("OPEN"),
            probes.kafka,
            image=image,
            port=(self._ports["OPEN"], _LISTENERS["OPEN"][1]),
            environment=environment,
        )
        # A pattern of `{host}` is not wanted in what is PEM and JAAS.
        self._container.with_envs(**environment)
        self._container.ports = {
            f"{inside}/tcp": ("127.0.0.1", self._ports[name])  # type: ignore[misc]  # as Docker's client takes it
            for name, (_, inside) in _LISTENERS.items()
        }
        self._container.with_kwargs(entrypoint=["bash", "-c"])
        self._container.with_command([_SCRIPT])

    def listener(self, name: str) -> str:
        """Return the URL of a listener."""
        return f"kafka://localhost:{self._ports[name]}"


class Rule(NamedTuple):
    """What :data:`USER` may do with a topic or a group, by numbers of Kafka's protocol."""

    resource: int
    name: str
    operation: int


TOPIC, GROUP = 2, 3
READ, WRITE, DESCRIBE = 3, 4, 8
_LITERAL, _ALLOW, _USER, _ANYWHERE = 3, 3, f"User:{USER}", "*"


async def allow(admin: AIOKafkaAdminClient, *rules: Rule) -> None:
    """Make rules. Where there is one for a topic or a group, what none allows is forbidden."""
    for resource, name, operation in rules:
        answer = await admin._send_to_controller(  # noqa: SLF001 - there is no public way
            CreateAclsRequest(resource, name, _LITERAL, _USER, _ANYWHERE, operation, _ALLOW)
        )
        [(code, why)] = answer.creation_responses
        assert code == 0, why


async def forbid(admin: AIOKafkaAdminClient, rule: Rule) -> None:
    """Take a rule back."""
    resource, name, operation = rule
    answer = await admin._send_to_controller(  # noqa: SLF001 - likewise
        DeleteAclsRequest(resource, name, _LITERAL, _USER, _ANYWHERE, operation, _ALLOW)
    )
    [(_, _, gone)] = answer.filter_responses
    assert len(gone) == 1


def _make_certificates(files: Path) -> dict[str, str]:
    """Write what clients need, and return what the broker needs."""
    authority = trustme.CA(organization_name="Postcast's tests")
    authority.cert_pem.write_to_path(files / "ca.pem")
    trustme.CA().cert_pem.write_to_path(files / "stranger.pem")
    client = authority.issue_cert("client.postcast.test")
    client.cert_chain_pems[0].write_to_path(files / "cert.pem")
    client.private_key_pem.write_to_path(files / "key.pem")
    broker = authority.issue_cert("localhost", "127.0.0.1", "::1")
    key = load_pem_private_key(broker.private_key_pem.bytes(), None)
    return {
        "chain": broker.cert_chain_pems[0].bytes().decode(),
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "authority": authority.cert_pem.bytes().decode(),
    }


def _properties(ports: dict[str, int], certificates: dict[str, str], password: str) -> str:
    names = ["OPEN", *(name for name in _LISTENERS if name != "OPEN")]
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    properties = {
        "node.id": "1",
        "process.roles": "broker,controller",
        "listeners": ",".join(f"{name}://:{_LISTENERS[name][1]}" for name in names) + ",CONTROLLER://:9093",
        "advertised.listeners": ",".join(f"{name}://localhost:{ports[name]}" for name in names),
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@localhost:9093",
        "inter.broker.listener.name": "OPEN",
        "listener.security.protocol.map": (
            ",".join(f"{name}:{_LISTENERS[name][0]}" for name in names) + ",CONTROLLER:PLAINTEXT"
        ),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # What has no rule is open to all; who has not said who it is may do everything, in order to make rules.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:ANONYMOUS",
        "log.dirs": "/tmp/secured-logs",  # noqa: S108 - inside the container, where nobody else is
        "log.cleaner.dedupe.buffer.size": "8388608",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": certificates["chain"],
        "ssl.keystore.key": certificates["key"],
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": certificates["authority"],
        "listener.name.mutual.ssl.client.auth": "required",
    }
    for listener in ("login", "tlslogin"):
        prefix = f"listener.name.{listener}"
        properties[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(_MECHANISMS)
        properties[f"{prefix}.plain.sasl.jaas.config"] = f'{plain} user_{USER}="{password}";'
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            properties[f"{prefix}.{mechanism}.sasl.jaas.config"] = f"{scram};"
    # A value of several lines is one line with escaped ends.
    return "\n".join(f"{name}={value.strip().replace(chr(10), chr(92) + 'n')}" for name, value in properties.items())
