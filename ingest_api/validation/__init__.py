"""Validation: from the body of a request to valid events, or to one error that names its fault."""
