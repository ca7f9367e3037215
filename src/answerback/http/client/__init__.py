"""An HTTP/1.1 client for servers that nobody vouches for: providers, receivers, servers of files.

Every byte that a server sends counts, nothing is followed, stored or assumed, and a call costs what its bytes cost.
"""
