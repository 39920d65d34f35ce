"""Schema of `tenants`."""
