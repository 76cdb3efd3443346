"""The parameters of a database's URL.

Laws:

* A parameter is honoured, or is known to change nothing here, or is refused. None is passed on unseen: with a
  misspelt ``sslmode`` a connection would not be encrypted, and nothing would say so.
* A parameter that promises what the driver cannot keep is refused.
"""

from collections.abc import Mapping
from typing import Final

TLS_WORDS: Final = frozenset({
    "sslmode", "sslnegotiation", "sslrootcert", "sslcrl", "sslcert", "sslkey", "sslpassword",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
})  # fmt: skip
VERIFYING: Final = ("verify-ca", "verify-full")

_TLS_VERSIONS: Final = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"})
_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "sslmode": frozenset({"disable", "allow", "prefer", "require", *VERIFYING}),
    "sslnegotiation": frozenset({"postgres", "direct"}),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": frozenset({"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}),
    "load_balance_hosts": frozenset({"disable", "random"}),
    "requiressl": frozenset({"0", "1"}),
    "gsslib": frozenset({"gssapi"}),
    # Promises of libpq that asyncpg cannot keep; only the values that promise nothing are accepted.
    "channel_binding": frozenset({"disable", "prefer"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "sslcertmode": frozenset({"allow"}),
    "gssdelegation": frozenset({"0"}),
}
"""The values that a parameter may have, for those that have a list of them."""

_HONOURED: Final = TLS_WORDS | {
    "host", "port", "dbname", "database", "user", "password", "passfile", "service", "servicefile", "connect_timeout",
    "target_session_attrs", "load_balance_hosts", "requiressl", "krbsrvname", "gsslib", "fallback_application_name",
}  # fmt: skip

_IGNORED: Final = frozenset({
    # Of the values that remain (above), none changes anything.
    "channel_binding", "gssencmode", "sslcertmode", "gssdelegation",
    # asyncpg speaks UTF-8, sends the server's name, does not compress, and chooses the protocol's version.
    "client_encoding", "sslsni", "sslcompression", "min_protocol_version", "max_protocol_version",
    # A connection that was forgotten is found by a question with a limit of its own (runtime.database).
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout",
    # How Go's drivers prepare statements and keep their pools.
    "binary_parameters", "disable_prepared_binary_result", "default_query_exec_mode", "statement_cache_capacity",
    "description_cache_capacity", "pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime",
    "pool_max_conn_lifetime_jitter", "pool_max_conn_idle_time", "pool_health_check_period",
})  # fmt: skip

_SERVER_SETTINGS: Final = frozenset({
    "application_name", "bytea_output", "client_connection_check_interval", "client_min_messages", "commit_delay",
    "constraint_exclusion", "cursor_tuple_fraction", "datestyle", "default_statistics_target",
    "default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only",
    "effective_cache_size", "effective_io_concurrency", "extra_float_digits", "from_collapse_limit",
    "hash_mem_multiplier", "idle_in_transaction_session_timeout", "idle_session_timeout", "intervalstyle",
    "join_collapse_limit", "lc_messages", "lc_monetary", "lc_numeric", "lc_time", "lock_timeout",
    "log_min_duration_statement", "log_min_messages", "log_statement", "maintenance_work_mem", "max_parallel_workers",
    "max_parallel_workers_per_gather", "max_stack_depth", "min_parallel_index_scan_size",
    "min_parallel_table_scan_size", "options", "parallel_leader_participation", "parallel_setup_cost",
    "parallel_tuple_cost", "plan_cache_mode", "random_page_cost", "role", "row_security", "search_path",
    "seq_page_cost", "session_authorization", "session_preload_libraries", "standard_conforming_strings",
    "statement_timeout", "synchronous_commit", "tcp_keepalives_count", "tcp_keepalives_idle",
    "tcp_keepalives_interval", "temp_buffers", "temp_file_limit", "temp_tablespaces", "timezone", "track_activities",
    "transaction_timeout", "work_mem", "xmlbinary", "xmloption",
})  # fmt: skip
_SERVER_FAMILIES: Final = ("cpu_", "enable_", "geqo", "jit")
"""What further names begin with. Go's drivers take the server's settings as parameters, libpq inside ``options``."""

_REFUSED: Final[Mapping[str, str]] = {
    "hostaddr": "name the address as host",
    "require_auth": "the methods are restricted in the server's pg_hba.conf",
    "requirepeer": "the owner of the server's socket is not checked",
}


class WrongUrl(ValueError):
    """The URL cannot work; the message completes "DATABASE_URL is wrong: …" or the like and shows no value of it."""


def check(word: str, value: str) -> None:
    """Raise :class:`WrongUrl` for a parameter that is not supported, or not with this value; "" is no value."""
    if why := _REFUSED.get(word):
        raise WrongUrl(f"the parameter {word} is not supported: {why}")
    if word not in _HONOURED and word not in _IGNORED and not is_server_setting(word):
        raise WrongUrl(
            f"the parameter {word} is not supported; a setting of the server is given as options=-c%20name%3Dvalue"
        )
    if value and word in _VALUES and value not in _VALUES[word]:
        raise WrongUrl(f"the parameter {word} must be {_one_of(_VALUES[word])}")


def is_server_setting(word: str) -> bool:
    """Tell whether a parameter is a run-time setting of the server."""
    # A dot is in the names of the settings that extensions define.
    return word.lower() in _SERVER_SETTINGS or word.lower().startswith(_SERVER_FAMILIES) or "." in word


def _one_of(values: frozenset[str]) -> str:
    *most, last = sorted(values)
    return f"{', '.join(most)} or {last}" if most else last
