"""The sink: everything that speaks to Elasticsearch. Nothing else imports its client."""
