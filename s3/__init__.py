"""The S3 door: wire protocol in, one call to a verb, wire protocol out."""
