"""An application at work on databases in the style of public ones, as large as they are."""
