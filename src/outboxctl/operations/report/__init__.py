"""The overview of an outbox that `report` and `top` show, and the templates of pages."""
