"""The method on one experiment: science from `hneuro.records` on, kept by `hneuro.store`. Start at `method.run`."""
