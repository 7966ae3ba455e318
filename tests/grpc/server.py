"""A service of gRPC as grpcio serves it: unary, streams each way, trailers, errors. Prints its port, and each call that was given up."""
import sys
import threading
from concurrent import futures

import grpc


def get(request, context):
    seen = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-subject", seen.get("x-hangu-subject", "")), ("x-served-by", "grpcio")))
    return b"got " + request


def missing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such record")


def never(request, context):
    given_up = threading.Event()
    context.add_callback(given_up.set)
    given_up.wait(20)
    print("given up", flush=True)
    return b""


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def talk(requests, context):
    for request in requests:
        yield b"you said " + request


class Records(grpc.GenericRpcHandler):
    def service(self, call):
        return {
            "/records.Records/Get": grpc.unary_unary_rpc_method_handler(get),
            "/records.Records/Missing": grpc.unary_unary_rpc_method_handler(missing),
            "/records.Records/Never": grpc.unary_unary_rpc_method_handler(never),
            "/records.Records/Count": grpc.unary_stream_rpc_method_handler(count),
            "/records.Records/Total": grpc.stream_unary_rpc_method_handler(total),
            "/records.Records/Talk": grpc.stream_stream_rpc_method_handler(talk),
        }.get(call.method)


LARGE = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[Records()], options=LARGE)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
# Ends with the test, whose end of the pipe closes then.
sys.stdin.read()
server.stop(None)
