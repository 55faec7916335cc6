"""What is wrong with a data set, before any training: one check a file, each yields findings."""
