"""The dashboard: pages that show requests and their feedback, served with the API or by a separate process.

It is a client of the public HTTP API, in this process or at an address, and calls it with the key of the viewer. So all
numbers come from the API, and a viewer sees and does only what the key allows.
"""
