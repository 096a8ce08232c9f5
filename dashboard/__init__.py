"""The dashboard: pages that show requests and their feedback, served beside the API or by a process of their own.

It is a client of the public HTTP API, in this process or at an address, and calls it with the viewer's own key. So each
number on a page is the API's, and a viewer sees and does what the key allows.
"""
