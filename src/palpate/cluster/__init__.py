"""What the workflow asks of a cluster, and what it says when the cluster ends a job."""
