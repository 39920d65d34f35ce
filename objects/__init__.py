"""Keys, versions, extents and uploads: what a bucket holds, and one verb for everything done to
it."""
