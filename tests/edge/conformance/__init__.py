"""RFC 6455, rule by rule."""
