"""The embedded index: documents in SQLite, their words in tantivy, their vectors in usearch (decision 0012)."""
