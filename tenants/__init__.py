"""Who may do what: tenants, users, access keys, policies, the keyring."""
