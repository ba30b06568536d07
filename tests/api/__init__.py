"""The doors of the web process: REST, streams and sockets, as programs outside meet them."""
