"""The cores of the cluster's checker."""
