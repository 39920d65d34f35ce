-- Any writer of these rows raises their revision and enters the journal; none can forget.
SELECT configuration_table(
    'tenant', 'account_id', 'canonical_id', 'name', 'display_name', 'email', 'suspended',
    'quota_bytes', 'quota_objects');
SELECT configuration_table('account_user', 'tenant_id', 'name', 'is_root', 'policy', 'suspended');
SELECT configuration_table('access_key', 'id', 'user_id', 'secret', 'enabled', 'expires_at');

-- The audit trail is only ever added to.
SELECT journaled_table('audit', 'audit', 'detail');
