"""Ten patterns of abuse against a running server, among honest traffic: what is stopped, and when.

The server runs as in production, with a worker, a scheduler, the rules that come with the product
and the limits of its defaults; only the sweep of the rules comes every two seconds. One classifier
is a stand-in that objects to red, because none comes with the product.
"""
