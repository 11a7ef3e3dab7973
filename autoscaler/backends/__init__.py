"""Where replicas come from: processes of this machine, pods of a cluster."""
