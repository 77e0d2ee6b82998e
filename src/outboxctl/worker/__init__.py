"""The worker: claim, deliver, settle; reclaim what died; stop cleanly."""
