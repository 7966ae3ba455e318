"""Calls the service of server.py through the gateway with grpcio, and prints what came of it as JSON.
Arguments: port of the gateway, authority, and files with the authorities, the client's key and its chain."""
import json
import queue
import sys

import grpc

port, authority, ca, key, chain = sys.argv[1:]
read = lambda path: open(path, "rb").read()
credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(chain))
options = [
    ("grpc.ssl_target_name_override", authority),
    ("grpc.default_authority", authority),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.enable_retries", 0),
]
channel = grpc.secure_channel("127.0.0.1:" + port, credentials, options=options)
service = "/records.Records/"
DEADLINE = 20


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return "answered"


answers = {}
get = channel.unary_unary(service + "Get")
answer, call = get.with_call(b"one", timeout=DEADLINE)
answers["unary"] = answer.decode()
answers["trailers"] = dict((name, value) for name, value in call.trailing_metadata() if name.startswith("x-"))
forged = (("x-hangu-subject", "spiffe://gov.test/minister"),)
answers["forged"] = dict(get.with_call(b"", metadata=forged, timeout=DEADLINE)[1].trailing_metadata())["x-subject"]
large = bytes(range(256)) * (32 << 10)
answers["large"] = get(large, timeout=DEADLINE) == b"got " + large
answers["status"] = refused(lambda: channel.unary_unary(service + "Missing")(b"", timeout=DEADLINE))
answers["unknown"] = refused(lambda: channel.unary_unary(service + "Unknown")(b"", timeout=DEADLINE))[0]
answers["deadline"] = refused(lambda: channel.unary_unary(service + "Never")(b"", timeout=0.3))[0]
answers["denied"] = refused(lambda: channel.unary_unary("/sealed/Get")(b"", timeout=DEADLINE))[0]
parts = channel.unary_stream(service + "Count")(b"1000", timeout=DEADLINE)
answers["server stream"] = [part.decode() for part in parts] == [str(number) for number in range(1000)]
requests = (b"x" * 1000 for _ in range(1000))
answers["client stream"] = channel.stream_unary(service + "Total")(requests, timeout=DEADLINE).decode()

# A word is only said once the word before has been answered: nothing waits in between for more.
said = queue.Queue()
answers["conversation"] = []
conversation = channel.stream_stream(service + "Talk")(iter(said.get, None), timeout=DEADLINE)
for word in (b"first", b"second", b"third"):
    said.put(word)
    answers["conversation"].append(next(conversation).decode())
said.put(None)
answers["conversation over"] = list(conversation) == [] and conversation.code().name
print(json.dumps(answers))
