"""The sink: everything that is sent to Elasticsearch or OpenSearch.

Nothing else imports elastic_transport, urllib3 and msgspec.
"""
