"""The embedded index: SQLite keeps the documents, tantivy their words, usearch their vectors."""
