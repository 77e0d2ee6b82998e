"""The labs: drills that break the pipeline on purpose and end in a verdict with evidence."""
