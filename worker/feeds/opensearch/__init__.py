"""OpenSearch and Elasticsearch, over their HTTP API."""
