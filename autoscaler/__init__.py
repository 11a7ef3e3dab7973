"""The autoscaler: load in, replica counts out."""
