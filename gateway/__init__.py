"""The gateway: passes HTTP calls on to a model's provider, or any other upstream, and logs each as a request."""
