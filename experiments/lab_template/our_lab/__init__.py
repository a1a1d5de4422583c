"""What our lab adds to hneuro. Nothing is registered: a yaml names a class by `_target_`."""
