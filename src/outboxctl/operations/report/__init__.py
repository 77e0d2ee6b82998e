"""The overview that `report` and `top` show; SVG and the templates of pages."""
