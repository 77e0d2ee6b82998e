"""Pure rules of the pipeline: transitions, failures, backoff, error texts. Imports nothing else of ours."""
