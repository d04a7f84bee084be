"""The server of demo_server.py, over sockets: many clients, and such that send slowly or take no answer."""

import contextlib
import http.client
import json
import socket
import threading
import time
import types

import pytest
from waitress import wasyncore

from inference.web import application, server
from inference.web.models import MAX_WAITING, Limits
from inference.web.server import Server
from tests.inference.test_web_limits import Annotator

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEGUN = REQUEST[:-2]


def greet(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def serve():
    """Starts a server for an application of WSGI; gives it, with its `address`."""
    with contextlib.ExitStack() as stack:

        def start(app=greet, max_connections=250, **options):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            started = Server(app, listener, MAX_WAITING + 2, 1_000_000, max_connections, **options)
            started.address = listener.getsockname()
            thread = threading.Thread(target=started.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(in_its_thread, started, lambda: wasyncore.close_all(started._map))
            stack.callback(started.task_dispatcher.shutdown)
            return started

        yield start


@pytest.fixture
def connect():
    """Opens a connection to a server, from an address of this machine."""
    with contextlib.ExitStack() as stack:

        def start(server, source="127.0.0.1"):
            connection = socket.create_connection(server.address, timeout=60, source_address=(source, 0))
            return stack.enter_context(connection)

        yield start


@pytest.fixture
def clock(monkeypatch):
    """The time of the server, which goes on when `now` is changed."""
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(server, "time", clock)
    return clock


def in_its_thread(server, function):
    """Calls a function in the thread of a server's main loop."""
    done = threading.Event()
    server.trigger.pull_trigger(lambda: (function(), done.set()))
    assert done.wait(60)


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_open(connection):
    """Whether a connection on which no answer is to come is still open."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def is_answered(connection):
    """Whether a request on a connection gets its answer, of `greet`."""
    connection.settimeout(60)
    connection.sendall(REQUEST)
    return takes_answer(connection)


def takes_answer(connection):
    answer = b""
    while not answer.endswith(b"hello"):
        received = connection.recv(1000)
        if not received:
            return False
        answer += received
    return answer.startswith(b"HTTP/1.1 200 OK\r\n")


class Slow(Annotator):
    """Takes a little time for a pass, however many texts it has."""

    def annotate(self, documents, advance):
        time.sleep(0.002)
        return super().annotate(documents, advance)


def test_of_many_clients_none_is_refused(serve):
    address = serve(application.create_app(Slow(), None, Limits())).address
    answers = []

    def ask(client):
        connection = http.client.HTTPConnection(*address, timeout=60)
        for number in range(5):
            text = f"{client} {number}"
            connection.request("POST", "/api/annotate", json.dumps({"text": text}), {"Content-Type": application.JSON})
            response = connection.getresponse()
            answers.append((response.status, json.load(response).get("text") == text))
        connection.close()

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, True)] * 500


@pytest.mark.parametrize(
    ("begun", "byte"),
    [
        (b"", b""),
        (BEGUN + b"X: ", b"a"),
        (BEGUN + b"Content-Length: 10000\r\n\r\n", b"a"),
        (BEGUN + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n", b"a"),
        (b"", b"\r\n\r\n"),
    ],
)
def test_a_request_that_does_not_come_in_time_is_cut_off(serve, connect, begun, byte):
    connection = connect(serve(max_wait_seconds=0.5))
    connection.sendall(begun)
    end = time.monotonic() + 60
    while is_open(connection):
        assert time.monotonic() < end
        with contextlib.suppress(ConnectionError):
            connection.sendall(byte)
        time.sleep(0.05)


def test_an_answer_that_is_not_taken_is_cut_off(serve, connect):
    def send_much(environ, start_response):
        start_response("200 OK", [])
        return [b"a" * 10_000_000]  # more than the kernel takes for a connection

    started = serve(send_much, max_wait_seconds=0.5)
    connection = connect(started)
    connection.sendall(REQUEST)
    assert connection.recv(1) == b"H"
    wait_for(lambda: not started.active_channels)


def test_time_begins_anew_with_each_request(serve, connect, clock):
    started = serve()
    connection = connect(started)
    for _ in range(3):
        assert is_answered(connection)
        wait_for(lambda: all(channel.waits_since == clock.now for channel in started.active_channels.values()))
        clock.now += 20
        in_its_thread(started, lambda: started.maintenance(0))
    clock.now += 11
    assert connection.recv(1) == b""


def test_slow_connections_make_room(serve, connect):
    started = serve(max_connections=100)
    slow = []
    for _ in range(150):
        slow.append(connect(started))
        slow[-1].sendall(BEGUN)
    assert is_answered(connect(started))
    assert [is_open(connection) for connection in slow] == [False] * 51 + [True] * 99


def test_a_connection_that_is_worked_on_is_not_closed(serve, connect, clock):
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def wait(environ, start_response):
        begun.release()
        assert go_on.wait(60)
        return greet(environ, start_response)

    started = serve(wait, max_connections=2)
    connections = [connect(started), connect(started)]
    for connection in connections:
        connection.sendall(REQUEST)
        assert begun.acquire(timeout=60)
    assert connect(started).recv(1) == b""
    clock.now += 100
    in_its_thread(started, lambda: started.maintenance(0))
    go_on.set()
    assert all(map(takes_answer, connections))


def test_addresses_share_the_connections(serve, connect, monkeypatch):
    monkeypatch.setattr(server, "OTHERS", 1)
    started = serve(max_connections=2)
    first, second = connect(started, "127.0.0.2"), connect(started, "127.0.0.2")
    third = connect(started, "127.0.0.3")
    assert is_answered(third)
    assert is_open(first)
    assert is_answered(connect(started, "127.0.0.2"))  # the third of one address
    assert not is_open(first)
    assert is_answered(connect(started, "127.0.0.4"))  # the fourth of all
    assert not is_open(second)
    assert is_answered(third)
