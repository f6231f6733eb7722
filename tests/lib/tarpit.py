"""tarpit.py ADDRESS PORT: takes every connection and gives a byte of a header that never ends each half second."""
import selectors
import socket
import sys
import time

listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
listener.setblocking(False)
waiting = selectors.DefaultSelector()
waiting.register(listener, selectors.EVENT_READ)
clients = []
due = time.monotonic()
while True:
    for _ in waiting.select(max(0.0, due - time.monotonic())):
        client, _address = listener.accept()
        client.setblocking(False)
        clients.append(client)
        print("taken", flush=True)
        try:
            client.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        except OSError:
            pass
    if time.monotonic() >= due:
        due = time.monotonic() + 0.5
        for client in list(clients):
            try:
                client.send(b".")
            except OSError:
                client.close()
                clients.remove(client)
