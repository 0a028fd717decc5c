"""HTTP/1.1 server with bounds on what a client may send."""
