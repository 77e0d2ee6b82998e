"""Starting declarations for existing tables and for pgsync's schema file."""
