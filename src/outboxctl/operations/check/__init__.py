"""`check`: figures compared with limits, for cron, CI and monitoring."""
