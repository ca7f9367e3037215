"""What a connection may send."""

MAX_HEAD_BYTES = 64 * 1024
"""The most that the request line and all headers may take, and then whatever is not the body: the framing of its
chunks, trailers, line breaks between requests. The last read may bring more."""
MAX_FIELDS = 128
"""The most header fields of a request, trailers included. A field of four bytes takes a hundred of memory."""
FRAMING = 8
"""The most bytes of framing for each byte of a body: a chunk of one byte has five."""
MAX_PIPELINED = 16
"""The most requests that may wait for the response to the one before."""
MAX_UNWANTED_BYTES = 16 * 1024 * 1024
"""How much of a body is read and dropped once its request has been answered; a client that reads the answer stops."""
