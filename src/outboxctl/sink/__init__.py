"""The sink: everything sent to a search engine. Nothing else imports elastic_transport, urllib3, msgspec."""
