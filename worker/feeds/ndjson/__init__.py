"""Files of documents for every other engine: NDJSON, gzip, with a manifest."""
