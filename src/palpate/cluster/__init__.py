"""Requests of the workflow to a cluster, and its sentences where the cluster ends a job."""
