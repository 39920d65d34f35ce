"""Management commands of `tenants`."""
