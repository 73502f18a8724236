#!/usr/bin/env python3
"""An OTLP receiver on OpenTelemetry's own protocol package: prints what it is sent, one JSON object a line.

    tests/otlp/receiver.py [PORT]       OTLP over HTTP with binary protobuf; says its port first

With FAIL=STATUS,NUMBER in the environment it answers the first NUMBER requests with STATUS. With STALL=SECONDS it takes that long for each.
"""
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

KINDS = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
}
status, left = (int(word) for word in os.environ.get("FAIL", "200,0").split(","))


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global left
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(float(os.environ.get("STALL", 0)))
        if left:
            left -= 1
            return self.answer(status, b"")
        asked, answered = KINDS[self.path]
        message = asked.FromString(body)
        # Unknown fields would be lost in the dictionary, and known ones come back byte for byte.
        assert message.SerializeToString(deterministic=True) == body, self.path
        assert self.headers["content-type"] == "application/x-protobuf", self.headers
        print(json.dumps({"path": self.path, "message": MessageToDict(message)}), flush=True)
        self.answer(200, answered().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
