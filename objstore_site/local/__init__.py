"""The whole store on this machine: `python -m objstore_site.local`, which is `make run`."""
