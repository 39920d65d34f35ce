"""One module per family of S3 operations: read the request, call one verb, answer."""
