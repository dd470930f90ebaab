"""What OpenBMC's web server does with a WebSocket and nbd-proxy, as far as bytes can tell, with its buffers and its faults.

    python3 bmcweb-relay.py PROGRAM [--port N] [--max-message N] [--idle SECONDS] [--pipe BYTES] [--stderr FILE]

It listens on 127.0.0.1 and prints lines of JSON: its port; for each session the process, and how it has ended. For a WebSocket it starts
`PROGRAM 0` on two pipes. There is one session at a time.

- Each way has one buffer of 4 * (128 KiB + 16) bytes. It is flat: when a message does not fit behind what is pending, what is pending
  is moved to the front. A write to the pipe that waits keeps the place that it was begun with.
- A message that does not fit in the buffer ends the WebSocket, "Buffer overrun". Nothing is pushed back.
- When the WebSocket has closed, the program gets SIGTERM and is waited for without a limit. Meanwhile nothing is relayed, nothing is
  read, and the pipes stay open.
- A message of more than --max-message bytes ends the WebSocket with 1009; --idle seconds in which nothing is said end it without a word.
"""

import argparse
import array
import base64
import collections
import fcntl
import hashlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time

CAPACITY = (128 * 1024 + 16) * 4
F_SETPIPE_SZ = 1031
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, TOO_LONG = 1000, 1009


class FlatBuffer:
    """A buffer whose content is always in one piece."""

    def __init__(self):
        self.bytes = bytearray(CAPACITY)
        self.view = memoryview(self.bytes)
        self.clear()

    def clear(self):
        self.first = self.last = 0

    def __len__(self):
        return self.last - self.first

    def prepare(self, count):
        """Room for `count` bytes behind the content, which is moved to the front where it is needed."""
        if count > CAPACITY - self.last:
            assert count <= CAPACITY - len(self)
            self.bytes[: len(self)] = bytes(self.view[self.first : self.last])
            self.first, self.last = 0, len(self)
        return self.view[self.last : self.last + count]

    def commit(self, count):
        self.last += count

    def consume(self, count):
        if count >= len(self):
            self.clear()
        else:
            self.first += count


class Closed(Exception):
    """The WebSocket ends, with a close frame or without one."""

    def __init__(self, reason, code=None):
        super().__init__(reason)
        self.code = code


class WebSocket:
    """The server's side of one, without extensions."""

    def __init__(self, connection, max_message):
        self.connection = connection
        self.max_message = max_message
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.message = bytearray()
        self.is_open = False
        self.heard_at = time.monotonic()

    def receive(self):
        """The messages that have come."""
        try:
            data = self.connection.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("the connection has ended")
        self.incoming += data
        if not self.is_open:
            self.upgrade()
        while self.is_open and (frame := self.frame()) is not None:
            opcode, is_last, payload = frame
            if opcode == CLOSE:
                raise Closed("the other side has closed it", NORMAL)
            if opcode == PING:
                self.say(PONG, payload)
            if opcode not in (CONTINUATION, TEXT, BINARY):
                continue
            self.heard_at = time.monotonic()
            self.message += payload
            if is_last:
                message, self.message = self.message, bytearray()
                yield message

    def upgrade(self):
        head, end, rest = bytes(self.incoming).partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")[1:]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + guid).encode()).digest()).decode()
        answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        answer.append(f"Sec-WebSocket-Accept: {accept}")
        if "sec-websocket-protocol" in headers:
            answer.append(f"Sec-WebSocket-Protocol: {headers['sec-websocket-protocol'].split(',')[0].strip()}")
        self.outgoing += "\r\n".join([*answer, "", ""]).encode("latin-1")
        self.incoming = bytearray(rest)
        self.is_open = True

    def frame(self):
        """Takes the next frame, if all of it has come. A message that is too long is refused at its header."""
        data = self.incoming
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(data) < at + size:
                return None
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        opcode, is_last = data[0] & 0x0F, bool(data[0] & 0x80)
        if opcode < CLOSE and len(self.message) + length > self.max_message:
            raise Closed("message too long", TOO_LONG)
        if len(data) < at + 4 + length:
            return None
        mask, masked = bytes(data[at : at + 4]), bytes(data[at + 4 : at + 4 + length])
        del data[: at + 4 + length]
        mask = (mask * (length // 4 + 1))[:length]
        number = int.from_bytes(masked, "big") ^ int.from_bytes(mask, "big")
        return opcode, is_last, number.to_bytes(length, "big")

    def say(self, opcode, payload):
        length = len(payload)
        if length < 126:
            header = bytes([0x80 | opcode, length])
        elif length < 1 << 16:
            header = bytes([0x80 | opcode, 126]) + length.to_bytes(2, "big")
        else:
            header = bytes([0x80 | opcode, 127]) + length.to_bytes(8, "big")
        self.outgoing += header + payload
        if opcode == BINARY:
            self.heard_at = time.monotonic()

    def send(self):
        """Sends what it can of what waits."""
        if not self.outgoing:
            return
        try:
            del self.outgoing[: self.connection.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Closed(str(error)) from error

    def close(self, code, reason):
        """Ends it; with a close frame if there is a code."""
        if code is not None:
            self.say(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])
            self.connection.settimeout(1)
            try:
                self.connection.sendall(self.outgoing)
            except OSError:
                pass
        self.connection.close()


class Handler:
    """The program, its two pipes and its two buffers."""

    def __init__(self, options):
        near_in, self.pipe_in = os.pipe()
        self.pipe_out, near_out = os.pipe()
        if options.pipe:
            fcntl.fcntl(self.pipe_in, F_SETPIPE_SZ, options.pipe)
        for fd in (self.pipe_in, self.pipe_out):
            os.set_blocking(fd, False)
        with open(options.stderr or os.devnull, "ab") as stderr:
            self.process = subprocess.Popen([options.program, "0"], stdin=near_in, stdout=near_out, stderr=stderr)
        os.close(near_in)
        os.close(near_out)
        self.input, self.output = FlatBuffer(), FlatBuffer()
        # The place of the write that waits: it is not told when what is there is moved.
        self.writing = None
        # Whether that write waits for room in the pipe.
        self.waits = False
        # What follows from writes that were done: it has its turn after what is to be done already.
        self.ready = collections.deque()
        self.counts = {"most": 0, "overruns": 0, "moved": 0, "spoiled": 0, "waited": 0}
        self.counts |= {"underway": 0, "in": 0, "out": 0}

    def on_message(self, message):
        length = len(message)
        if length > CAPACITY - len(self.input):
            self.counts["overruns"] += 1
            raise Closed("Buffer overrun", NORMAL)
        before = self.input.first
        self.input.prepare(length)[:] = message
        if self.writing and self.input.first != before:
            self.counts["moved"] += 1
        self.input.commit(length)
        self.counts["in"] += length
        pending = len(self.input)
        in_pipe = array.array("i", [0])
        fcntl.ioctl(self.pipe_in, termios.FIONREAD, in_pipe)
        self.counts["most"] = max(self.counts["most"], pending)
        self.counts["underway"] = max(self.counts["underway"], pending + in_pipe[0])
        self.do_write()

    def do_write(self):
        if self.writing or len(self.input) == 0:
            return
        self.writing = (self.input.first, self.input.last)
        self.try_write()

    def try_write(self):
        """The write that was begun, of what is in its place by now."""
        first, last = self.writing
        try:
            written = os.write(self.pipe_in, self.input.view[first:last])
        except BlockingIOError:
            self.counts["waited"] += 1
            self.waits = True
            return
        except OSError as error:
            raise Closed("Error in writing to proxy port", NORMAL) from error
        self.waits = False
        now = self.input.first
        if self.input.view[first : first + written] != self.input.view[now : now + written]:
            self.counts["spoiled"] += 1

        def done():
            self.writing = None
            self.input.consume(written)
            self.do_write()

        self.ready.append(done)

    def do_read(self, websocket):
        room = self.output.prepare(CAPACITY - len(self.output))
        try:
            count = os.readv(self.pipe_out, [room])
        except BlockingIOError:
            return
        if count == 0:
            raise Closed("Error in connecting to VM port", NORMAL)
        self.output.commit(count)
        websocket.say(BINARY, bytes(self.output.view[self.output.first : self.output.first + count]))
        self.output.consume(count)
        self.counts["out"] += count

    def do_close(self):
        """Asks the program to end, and waits for that."""
        since = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        os.close(self.pipe_in)
        os.close(self.pipe_out)
        return {"status": self.process.returncode, "seconds": time.monotonic() - since, **self.counts}


class Relay:
    def __init__(self, options):
        self.options = options
        self.server = socket.create_server(("127.0.0.1", options.port))
        self.server.setblocking(False)
        self.websocket = self.handler = None

    def run(self):
        print(json.dumps({"port": self.server.getsockname()[1]}), flush=True)
        while True:
            self.turn()

    def turn(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.server, selectors.EVENT_READ, self.accept)
            if self.websocket:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.websocket.outgoing else 0)
                selector.register(self.websocket.connection, events, self.on_websocket)
            if self.handler:
                selector.register(self.handler.pipe_out, selectors.EVENT_READ, self.on_output)
                if self.handler.waits:
                    selector.register(self.handler.pipe_in, selectors.EVENT_WRITE, self.on_input)
            due = selector.select(0 if self.handler and self.handler.ready else 0.1)
        try:
            for key, events in due:
                key.data(events)
            self.go_on()
            idle = self.options.idle
            if self.websocket and idle and time.monotonic() - self.websocket.heard_at > idle:
                raise Closed(f"nothing was said for {idle} s")
        except Closed as end:
            self.close(end)

    def go_on(self):
        """Does what follows from the writes that were done, up to now."""
        for _ in range(len(self.handler.ready) if self.handler else 0):
            self.handler.ready.popleft()()

    def accept(self, _events):
        connection, _ = self.server.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.websocket:
            connection.close()
            return
        self.websocket = WebSocket(connection, self.options.max_message)

    def on_websocket(self, events):
        if events & selectors.EVENT_WRITE:
            self.websocket.send()
        if not events & selectors.EVENT_READ:
            return
        for message in self.websocket.receive():
            self.handler.on_message(message)
            self.go_on()
        if self.websocket.is_open and not self.handler:
            self.handler = Handler(self.options)
            print(json.dumps({"pid": self.handler.process.pid}), flush=True)

    def on_output(self, _events):
        self.handler.do_read(self.websocket)
        self.websocket.send()

    def on_input(self, _events):
        if self.handler.waits:
            self.handler.try_write()

    def close(self, end):
        """What follows when the WebSocket ends: nothing else is done before the program has ended."""
        websocket, handler = self.websocket, self.handler
        self.websocket = self.handler = None
        websocket.close(end.code, str(end))
        if handler:
            print(json.dumps({"reason": str(end), **handler.do_close()}), flush=True)


parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--max-message", type=int, default=1 << 40)
parser.add_argument("--idle", type=float, default=0)
parser.add_argument("--pipe", type=int, default=0)
parser.add_argument("--stderr")
try:
    Relay(parser.parse_args()).run()
except KeyboardInterrupt:
    sys.exit(0)
