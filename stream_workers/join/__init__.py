"""The join and the aggregates: how the state of a trace changes with its next events. Pure."""
