"""From the body of a request to valid events, or to the one error that says what is wrong with it."""
