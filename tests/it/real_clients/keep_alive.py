# A program that keeps its connection: asks once, then waits; asks again for each line that it is told.
# Says `answered STATUS` for each answer and `closed` when the gateway ends the connection.
import http.client
import select
import socket
import ssl
import sys

port, folder, who = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{folder}/servers.pem")
context.load_cert_chain(f"{folder}/{who}.pem", f"{folder}/{who}.key")


class Connection(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection(("127.0.0.1", int(port)))
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


connection = Connection("records.test", context=context)


def ask():
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    print("answered", response.status, flush=True)


ask()
while True:
    ready, _, _ = select.select([connection.sock, sys.stdin], [], [])
    if connection.sock in ready:
        print("closed" if connection.sock.recv(1) == b"" else "bytes", flush=True)
        break
    if not sys.stdin.readline():
        break
    ask()
