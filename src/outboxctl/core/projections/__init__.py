"""Projections in the database: those in force, their documents and the versions of these.

`in_force` reads and writes the declarations, `documents` reads documents, `version_base` keeps their
versions rising. Imports the rest of `core`, and what is below it.
"""
