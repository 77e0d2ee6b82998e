"""The names of the pictures, which their files begin with, the lab that one shows, how long one plays."""

PICTURES = ("pipeline", "pipeline-zh", "demo", "top", "lab", "lab-zh")
LAB = "outage-and-backoff"
LONGEST = 60.0  # seconds: a recording that takes longer is played faster
