"""Tables and figures over several runs, made from their folders alone."""
