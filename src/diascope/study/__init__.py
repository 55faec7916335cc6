"""Studies: from a study file to finished runs."""
