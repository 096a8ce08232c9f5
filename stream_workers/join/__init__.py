"""The join and the aggregates: what the state of a trace becomes by its next events. Pure."""
