"""The lab document's load generator: paced transactions of rows and events. Imports core and below."""
