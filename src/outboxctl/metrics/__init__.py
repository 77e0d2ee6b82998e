"""The metrics of the contract, and the HTTP server for them and the probes. Imports settings and below."""
