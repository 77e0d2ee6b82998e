"""What an operator does to events: whole batches, paced, audited in the transaction of the act."""
