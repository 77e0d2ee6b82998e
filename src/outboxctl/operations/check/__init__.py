"""Is all well? Figures held against limits, for cron, CI and monitoring."""
