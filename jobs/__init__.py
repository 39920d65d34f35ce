"""What work is owed and how far it is: the catalogue, the rows, leases and progress."""
