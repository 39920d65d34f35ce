"""The storage-node daemon: owns the drives of one host. Knows no framework and no database."""
