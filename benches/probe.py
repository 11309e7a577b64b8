#!/usr/bin/env python3
"""How long a server takes to shed a request, without the wait of whoever asked for a core: from the moment before the
request is sent to the moment at which the kernel has the answer (SO_TIMESTAMPNS, socket(7)). One after the other over
one connection.

    benches/probe.py ADDRESS SECONDS MILLISECONDS_BETWEEN      (a token on standard input)
"""

import json
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("qq")


def answer(connection):
    """The status of an answer, and when its first bytes came, in nanoseconds: none of the first answers, which may come
    before the kernel begins to look at the clock."""
    bytes_, came = b"", None
    while True:
        piece, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(TIMESPEC.size))
        if not piece:
            raise SystemExit("the server closed the connection")
        if not bytes_ and ancillary:
            ((_, _, stamp),) = ancillary
            seconds, nanos = TIMESPEC.unpack(stamp)
            came = seconds * 1_000_000_000 + nanos
        bytes_ += piece
        head, end, body = bytes_.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if end and len(body) >= int(lengths[0]):
            return int(head.split()[1]), came


def main():
    address, seconds, between = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]) / 1000
    host, _, port = address.rpartition(":")
    token = sys.stdin.read().strip()
    request = f"GET /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    ends, shed, asked = time.monotonic() + seconds, [], 0
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        while time.monotonic() < ends:
            asked += 1
            sent = time.clock_gettime_ns(time.CLOCK_REALTIME)
            connection.sendall(request)
            status, came = answer(connection)
            if status == 503 and came is not None:
                shed.append((came - sent) // 1000)
            time.sleep(between)
    shed.sort()
    rank = lambda part: shed[min(int(len(shed) * part), len(shed) - 1)] if shed else None
    print(json.dumps({"asked": asked, "shed": len(shed), "p50_us": rank(0.5), "p99_us": rank(0.99)}))


if __name__ == "__main__":
    main()
