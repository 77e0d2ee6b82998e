"""The SQL of an operator's actions on events, and their audit trail."""
