"""A server of files on this machine that does as servers do: honours ranges or not, breaks off, lies."""

import contextlib
import http.server
import re
import threading


class FileServer(http.server.ThreadingHTTPServer):
    """Answers requests for a path with the functions in `answers[path]`, one after the other, the last for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {}
        self.requests = []  # (path, headers) of each

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802  (the name that http.server looks for)
        earlier = sum(path == self.path for path, _ in self.server.requests)
        self.server.requests.append((self.path, dict(self.headers)))
        answers = self.server.answers.get(self.path, [status(404)])
        answers[min(earlier, len(answers) - 1)](self)

    def reply(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """Runs a FileServer in a thread of its own."""
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# Answers


def status(code, **headers):
    return lambda handler: handler.reply(code, Content_Length=0, **headers)


def whole(body, length=None, **headers):
    """All of a body, whatever was asked for; `length` is what the header says of it."""
    return lambda handler: handler.reply(200, body, Content_Length=len(body) if length is None else length, **headers)


def without_length(body):
    return lambda handler: handler.reply(200, body)


def ranged(body, etag='"1"', most=None):
    """Honours ranges; breaks off after `most` bytes."""

    def answer(handler):
        headers = {"ETag": etag} if etag else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if not wanted or handler.headers.get("If-Range", etag) != etag:
            handler.reply(200, body[:most], Content_Length=len(body), **headers)
        elif (start := int(wanted[1])) >= len(body):
            handler.reply(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
        else:
            headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.reply(206, body[start:][:most], Content_Length=len(body) - start, **headers)

    return answer


def stalling(body, most, going_on):
    """The first `most` bytes, and then none until an event."""

    def answer(handler):
        ranged(body, most=most)(handler)
        going_on.wait(60)

    return answer
