"""The sink: everything that is sent to Elasticsearch or OpenSearch. Nothing else imports urllib3."""
