"""URLs, certificates and deadlines. Imports `domain`."""
