"""A search for hyper-parameters: trials on inner folds of the training side, and what they come to."""
