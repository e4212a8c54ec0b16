"""OpenSearch, and Elasticsearch where both speak alike: a sink for the feed and a searcher, over opensearch-py.

Nothing here imports opensearch-py but `wire`, so that these modules can be read where it is not installed; whoever then
opens a sink or a searcher is told what to install.
"""
