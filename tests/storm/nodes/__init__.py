"""The storm on a cluster: its nodes are struck as well as the workers, and each copy is looked at."""
