"""A storm: an application writes, workers die at random, the sink misbehaves; then nothing may be amiss."""
