"""The overview that `report` shows."""
