"""The sink: everything that speaks to Elasticsearch or OpenSearch. Nothing else imports their clients."""
